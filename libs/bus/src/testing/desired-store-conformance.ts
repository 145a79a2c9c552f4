import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DesiredStore, DesiredWriter } from '../desired-store.ts';
import { collect } from './collect.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const LEASE = { leaderId: 's1', address: '127.0.0.1:1' };
const OTHER = { leaderId: 's2', address: '127.0.0.1:2' };

/** What every DesiredStore has to do; `open` gives an empty one. */
export function desiredStoreConformance(
  name: string,
  open: () => Promise<{ readonly store: DesiredStore; close(): Promise<void> }>,
): void {
  describe(`${name}: desired store`, () => {
    let store: DesiredStore;
    let close: () => Promise<void>;
    let signal: AbortSignal;
    beforeEach(async () => {
      ({ store, close } = await open());
      signal = AbortSignal.timeout(20_000);
    });
    afterEach(() => close());
    const lead = async (seen?: bigint): Promise<DesiredWriter> => store.acquire(LEASE, seen, signal);

    test('has no lease before the first takeover', async () => {
      expect(await store.readLease(signal)).toBeUndefined();
    });

    test('a takeover is the lease and its revision the epoch', async () => {
      const writer = await lead();
      expect(await store.readLease(signal)).toEqual({ ...LEASE, epoch: writer.epoch });
    });

    test('revisions grow by one a write, in the order asked for', async () => {
      const writer = await lead();
      const revisions = await Promise.all(['a', 'b', 'a', 'c'].map((id) => writer.put(`container.${id}`, bytes(id))));
      expect(revisions).toEqual([1n, 2n, 3n, 4n].map((n) => writer.epoch + n));
    });

    test('a reader gets the newest value of each key, tombstones, and that it is live', async () => {
      const writer = await lead();
      await writer.put('container.a', bytes('1'));
      await writer.put('container.b', bytes('2'));
      await writer.put('container.a', bytes('3'));
      await writer.delete('container.b');
      const items = await collect(store.source(), 0n, (item) => item.kind === 'live');
      expect(items.map((item) => ('key' in item ? `${item.kind} ${item.key}` : item.kind))).toEqual([
        'opened',
        'put lease.scheduler',
        'put container.a',
        'delete container.b',
        'live',
      ]);
    });

    test('a reader goes on after a revision and hears what comes', async () => {
      const writer = await lead();
      const first = await writer.put('container.a', bytes('1'));
      const reading = collect(store.source(), first, (item) => 'key' in item && item.key === 'container.c');
      await writer.put('container.b', bytes('2'));
      await writer.put('container.c', bytes('3'));
      const keys = (await reading).flatMap((item) => ('key' in item ? [item.key] : []));
      expect(keys).toEqual(['container.b', 'container.c']);
    });

    test('a takeover needs the lease it has seen', async () => {
      const writer = await lead();
      await expect(store.acquire(OTHER, undefined, signal)).rejects.toMatchObject({ reason: 'conflict' });
      await expect(store.acquire(OTHER, writer.epoch + 7n, signal)).rejects.toMatchObject({ reason: 'conflict' });
      const next = await store.acquire(OTHER, writer.epoch, signal);
      expect(next.epoch).toBeGreaterThan(writer.epoch);
    });

    test('of two that take over at once one wins', async () => {
      const results = await Promise.allSettled([
        store.acquire(LEASE, undefined, signal),
        store.acquire(OTHER, undefined, signal),
      ]);
      expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
    });

    test('the first write after a foreign takeover is refused and deposes, and nothing of it is stored', async () => {
      const old = await lead();
      await old.put('container.a', bytes('1'));
      const young = await store.acquire(OTHER, old.epoch, signal);
      await expect(old.put('container.a', bytes('2'))).rejects.toMatchObject({ reason: 'unavailable' });
      expect(old.deposed.aborted).toBe(true);
      expect(old.deposed.reason).toMatchObject({ reason: 'unavailable' });
      await expect(old.delete('container.a')).rejects.toMatchObject({ reason: 'unavailable' });
      await young.put('container.b', bytes('3'));
      const items = await collect(store.source(), 0n, (item) => item.kind === 'live');
      const values = items.flatMap((item) => (item.kind === 'put' ? [new TextDecoder().decode(item.value)] : []));
      expect(values.slice(0, 1)).toEqual(['1']);
      expect(values.slice(-1)).toEqual(['3']);
      expect(items.filter((item) => item.kind === 'delete')).toEqual([]);
    });

    test('a closed writer refuses', async () => {
      const writer = await lead();
      writer.close();
      await expect(writer.put('container.a', bytes('1'))).rejects.toMatchObject({ reason: 'unavailable' });
    });

    test('an aborted signal keeps a write from beginning', async () => {
      const writer = await lead();
      await expect(writer.put('container.a', bytes('1'), AbortSignal.abort())).rejects.toThrow();
      const items = await collect(store.source(), 0n, (item) => item.kind === 'live');
      expect(items.filter((item) => 'key' in item && item.key === 'container.a')).toEqual([]);
    });

    test('tombstones are forgotten without touching newer values, and writing goes on', async () => {
      const writer = await lead();
      await writer.put('container.a', bytes('1'));
      await writer.put('container.b', bytes('2'));
      const [a, b] = [await writer.delete('container.a'), await writer.delete('container.b')];
      await writer.put('container.b', bytes('3'));
      await writer.forget('container.a', a);
      await writer.forget('container.b', b);
      await writer.put('container.c', bytes('4'));
      const items = await collect(store.source(), 0n, (item) => item.kind === 'live');
      expect(items.flatMap((item) => ('key' in item ? [`${item.kind} ${item.key}`] : []))).toEqual([
        'put lease.scheduler',
        'put container.b',
        'put container.c',
      ]);
    });
  });
}

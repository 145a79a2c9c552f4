import { setTimeout as sleep } from 'node:timers/promises';
import { hasReason } from '@atoll/errors';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RecordChange, RecordStore } from '../domain/records/record-store.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (value: Uint8Array | undefined): string | undefined => value && Buffer.from(value).toString();

/** The contract of RecordStore, run against every implementation; `open` gives an empty one. */
export function recordStoreSuite(name: string, open: () => Promise<RecordStore>): void {
  describe(`record store contract: ${name}`, () => {
    let store: RecordStore;
    let stop: AbortController;
    beforeEach(async () => {
      store = await open();
      stop = new AbortController();
    });
    afterEach(() => stop.abort());

    const isConflict = async (work: Promise<unknown>): Promise<boolean> =>
      work.then(
        () => false,
        (error) => hasReason(error, 'conflict'),
      );
    const until = async (done: () => boolean): Promise<void> => {
      for (let tries = 0; tries < 500 && !done(); tries += 1) await sleep(10);
      expect(done()).toBe(true);
    };

    test('a value comes back with its revision, an unknown key has none', async () => {
      const revision = await store.create('tag.a.b', bytes('one'));
      const got = await store.get('tag.a.b');
      expect([text(got?.value), got?.revision]).toEqual(['one', revision]);
      expect(await store.get('tag.a.c')).toBeUndefined();
    });

    test('create works once, and again after a deletion', async () => {
      const first = await store.create('k.1', bytes('one'));
      expect(await isConflict(store.create('k.1', bytes('two')))).toBe(true);
      const deleted = await store.delete('k.1', first);
      expect(await store.get('k.1')).toBeUndefined();
      const second = await store.create('k.1', bytes('three'));
      expect(first < deleted && deleted < second).toBe(true);
      expect(text((await store.get('k.1'))?.value)).toBe('three');
    });

    test('update and delete want the newest revision', async () => {
      const first = await store.create('k.1', bytes('one'));
      const second = await store.update('k.1', bytes('two'), first);
      expect(await isConflict(store.update('k.1', bytes('three'), first))).toBe(true);
      expect(await isConflict(store.delete('k.1', first))).toBe(true);
      expect(text((await store.get('k.1'))?.value)).toBe('two');
      await store.delete('k.1', second);
      expect(await isConflict(store.update('k.1', bytes('four'), second))).toBe(true);
    });

    test('of many writers of one revision one wins', async () => {
      const revision = await store.create('k.1', bytes('start'));
      const wins = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => !(await isConflict(store.update('k.1', bytes(`${i}`), revision)))),
      );
      expect(wins.filter(Boolean)).toHaveLength(1);
      expect(text((await store.get('k.1'))?.value)).toBe(String(wins.indexOf(true)));
    });

    test('the watch says what is there, then every change in order', async () => {
      const one = await store.create('k.1', bytes('one'));
      await store.create('k.2', bytes('two'));
      const seen: RecordChange[] = [];
      await store.watch((change) => seen.push(change), stop.signal);
      expect(seen.map((change) => [change.key, text(change.value)])).toEqual([
        ['k.1', 'one'],
        ['k.2', 'two'],
      ]);
      const next = await store.update('k.1', bytes('three'), one);
      await store.delete('k.1', next);
      await until(() => seen.at(-1)?.value === undefined);
      expect(seen.slice(2).map((change) => change.key)).toEqual(seen.length === 3 ? ['k.1'] : ['k.1', 'k.1']);
      expect(seen.map((change) => change.revision)).toEqual(
        [...seen.map((change) => change.revision)].sort((a, b) => a - b),
      );
    });

    test('the watch of an empty store is complete at once', async () => {
      const seen: RecordChange[] = [];
      await store.watch((change) => seen.push(change), stop.signal);
      expect(seen).toEqual([]);
    });

    test('a deletion is counted until it is forgotten, and only a deletion is', async () => {
      const one = await store.create('k.1', bytes('one'));
      await store.create('k.2', bytes('two'));
      const deleted = await store.delete('k.1', one);
      expect(await store.count()).toBe(2);
      await store.forget('k.1', deleted);
      expect(await store.count()).toBe(1);
      await store.create('k.1', bytes('again'));
      await store.forget('k.1', deleted);
      expect(text((await store.get('k.1'))?.value)).toBe('again');
    });
  });
}

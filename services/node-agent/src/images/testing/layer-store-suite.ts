import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import type { LayerStore } from '../layer-store.ts';

/** A store under test with somewhere to put layers it can fetch. */
export interface LayerStoreFixture extends AsyncDisposable {
  readonly store: LayerStore;
  /** Makes a layer that can be fetched, with one file. */
  publish(file: string, content: string): Promise<containerV1.Layer>;
  /** How often a layer's blob was read. */
  reads(layer: containerV1.Layer): number;
  /** From now on blobs arrive only after the function it gives was called. */
  hold(): () => void;
  /** A folder with one file, as a build step leaves it. */
  filled(file: string, content: string): Promise<string>;
  /** The clock of the collector: all that is unused now is too old. */
  age(): Promise<void>;
}

/** What every layer store does. */
export function layerStoreSuite(name: string, make: () => Promise<LayerStoreFixture>): void {
  const signal = new AbortController().signal;

  describe(name, { timeout: 120_000 }, () => {
    test('layers are there when acquired, top first, and fetched once', async () => {
      await using fixture = await make();
      const { store } = fixture;
      const [low, high] = [await fixture.publish('low', '1'), await fixture.publish('high', '2')];
      const leases = await Promise.all([1, 2, 3].map(() => store.acquire([low, high], signal)));
      const [top = '', bottom = ''] = leases[0]?.directories ?? [];
      expect(await readFile(join(top, 'high'), 'utf8')).toBe('2');
      expect(await readFile(join(bottom, 'low'), 'utf8')).toBe('1');
      expect(fixture.reads(low)).toBe(1);
      for (const lease of leases) lease.release();
    });

    test('the same layer twice is one folder', async () => {
      await using fixture = await make();
      const layer = await fixture.publish('f', '1');
      const lease = await fixture.store.acquire([layer, layer], signal);
      expect(lease.directories.length).toBe(1);
      lease.release();
      lease.release();
    });

    test('a missing blob is not found, and nothing stays leased or half made', async () => {
      await using fixture = await make();
      const layer = await fixture.publish('f', '1');
      const absent = { ...layer, digest: `sha256:${'1'.repeat(64)}`, diffId: `sha256:${'2'.repeat(64)}` };
      await expect(fixture.store.acquire([layer, absent], signal)).rejects.toThrow('no blob');
      await fixture.age();
      expect(await fixture.store.collect()).toEqual([layer.diffId]);
    });

    test('bytes that are not those of the layer are refused', async () => {
      await using fixture = await make();
      const layer = await fixture.publish('f', '1');
      const wrong = { ...layer, diffId: `sha256:${'3'.repeat(64)}` };
      await expect(fixture.store.acquire([wrong], signal)).rejects.toThrow('the image is damaged');
    });

    test('who gives up does not disturb the others', async () => {
      await using fixture = await make();
      const layer = await fixture.publish('f', '1');
      const go = fixture.hold();
      const impatient = new AbortController();
      const first = fixture.store.acquire([layer], impatient.signal);
      const second = fixture.store.acquire([layer], signal);
      impatient.abort(new Error('enough'));
      await expect(first).rejects.toThrow('enough');
      go();
      (await second).release();
    });

    test('only what nobody holds is collected', async () => {
      await using fixture = await make();
      const { store } = fixture;
      const [used, unused] = [await fixture.publish('a', '1'), await fixture.publish('b', '2')];
      (await store.acquire([unused], signal)).release();
      const lease = await store.acquire([used], signal);
      const kept = store.retain([used]);
      lease.release();
      expect(await store.usage()).toBeGreaterThan(0);
      await fixture.age();
      expect(await store.collect()).toEqual([unused.diffId]);
      kept.release();
      await fixture.age();
      expect(await store.collect()).toEqual([used.diffId]);
      expect(await store.usage()).toBe(0);
    });

    test('a folder is adopted, and a second of the same layer given up', async () => {
      await using fixture = await make();
      const layer = await fixture.publish('never-read', '');
      await fixture.store.adopt(await fixture.filled('made', 'here'), layer.diffId, 4);
      await fixture.store.adopt(await fixture.filled('made', 'again'), layer.diffId, 5);
      const lease = await fixture.store.acquire([layer], signal);
      expect(await readFile(join(lease.directories[0] ?? '', 'made'), 'utf8')).toBe('here');
      expect(fixture.reads(layer)).toBe(0);
      lease.release();
    });

    test('a name that is no digest never becomes a path', async () => {
      await using fixture = await make();
      const layer = await fixture.publish('f', '1');
      const evil = { ...layer, diffId: 'sha256:../../../etc' };
      await expect(fixture.store.acquire([evil], signal)).rejects.toThrow('is not the diff id of a layer');
    });
  });
}

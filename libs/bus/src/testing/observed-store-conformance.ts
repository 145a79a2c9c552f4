import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ObservedStore } from '../observed-store.ts';
import { collect } from './collect.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What every ObservedStore has to do; `open` gives an empty one. */
export function observedStoreConformance(
  name: string,
  open: () => Promise<{ readonly store: ObservedStore; close(): Promise<void> }>,
): void {
  describe(`${name}: observed store`, () => {
    let store: ObservedStore;
    let close: () => Promise<void>;
    beforeEach(async () => {
      ({ store, close } = await open());
    });
    afterEach(() => close());

    test('the newest value of each key arrives, and tombstones do', async () => {
      const writer = store.writer();
      for (let i = 0; i < 500; i++) writer.set(`container.${i % 10}`, () => bytes(String(i)));
      writer.set('container.gone', () => bytes('x'));
      await writer.flush(AbortSignal.timeout(10_000));
      writer.delete('container.gone');
      await writer.flush(AbortSignal.timeout(10_000));
      const items = await collect(store.source(), 0n, (item) => item.kind === 'live');
      const values = items.flatMap((item) =>
        item.kind === 'put' ? [`${item.key}=${new TextDecoder().decode(item.value)}`] : [],
      );
      expect(values.sort()).toEqual(Array.from({ length: 10 }, (_, i) => `container.${i}=${490 + i}`));
      expect(items.filter((item) => item.kind === 'delete').map((item) => item.key)).toEqual(['container.gone']);
      await writer.close();
    });

    test('a flush with nothing to write returns', async () => {
      const writer = store.writer();
      await writer.flush(AbortSignal.timeout(10_000));
      await writer.close();
    });
  });
}

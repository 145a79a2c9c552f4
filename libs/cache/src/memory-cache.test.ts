import { describe, expect, test } from 'vitest';
import { MemoryCache } from './memory-cache.ts';
import { cacheSuite } from './testing/cache-suite.ts';

cacheSuite('memory', async () => new MemoryCache({ maxBytes: 1024 * 1024 }));

describe('MemoryCache', () => {
  test('the least recently used go first when it is full', async () => {
    const cache = new MemoryCache({ maxBytes: 3 * 1024 });
    await cache.set('a', new Uint8Array(800), 60_000);
    await cache.set('b', new Uint8Array(800), 60_000);
    await cache.get('a');
    await cache.set('c', new Uint8Array(800), 60_000);
    await cache.set('d', new Uint8Array(800), 60_000);
    const left = await Promise.all(['a', 'b', 'c', 'd'].map(async (key) => (await cache.get(key)) !== undefined));
    expect(left).toEqual([true, false, true, true]);
  });

  test('a value over the bound is not stored and drops the old one', async () => {
    const cache = new MemoryCache({ maxBytes: 1024 });
    await cache.set('k', new Uint8Array(10), 60_000);
    await cache.set('k', new Uint8Array(4096), 60_000);
    expect(await cache.get('k')).toBeUndefined();
  });

  test('time is what the clock says', async () => {
    let now = 0;
    const cache = new MemoryCache({ maxBytes: 1024, now: () => now });
    await cache.set('k', new Uint8Array(1), 1_000);
    now = 999;
    expect(await cache.get('k')).toBeDefined();
    now = 1_000;
    expect(await cache.get('k')).toBeUndefined();
  });
});

import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Cache } from '../cache.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const LONG = 60_000;

/** The contract of Cache, run against every implementation. `open` gives an empty cache that is ready to be used. */
export function cacheSuite(name: string, open: () => Promise<Cache>): void {
  describe(`cache contract: ${name}`, () => {
    let cache: Cache;
    beforeEach(async () => {
      cache = await open();
    });
    afterEach(async () => {
      await cache.close();
    });

    test('an unknown key has no value', async () => {
      expect(await cache.get('unknown')).toBeUndefined();
    });

    test.each([
      ['text', bytes('hello')],
      ['no bytes at all', new Uint8Array()],
      ['every byte', Uint8Array.from({ length: 256 }, (_, i) => i)],
    ])('a value comes back as it went in: %s', async (_name, value) => {
      await cache.set('k', value, LONG);
      const got = await cache.get('k');
      expect(got === undefined ? undefined : [...got]).toEqual([...value]);
    });

    test('the last value wins', async () => {
      await cache.set('k', bytes('one'), LONG);
      await cache.set('k', bytes('two'), LONG);
      expect(new TextDecoder().decode(await cache.get('k'))).toBe('two');
    });

    test('a deleted key is gone, deleting an unknown one is fine', async () => {
      await cache.set('k', bytes('v'), LONG);
      await cache.delete('k');
      await cache.delete('never-there');
      expect(await cache.get('k')).toBeUndefined();
    });

    test('a value ends with its time', async () => {
      await cache.set('k', bytes('v'), 20);
      for (let tries = 0; tries < 250 && (await cache.get('k')) !== undefined; tries += 1) await sleep(20);
      expect(await cache.get('k')).toBeUndefined();
    });

    test.each(['__proto__', 'constructor', 'a b', 'sha256:00', 'ключ', '*'])('any key is a key: %s', async (key) => {
      await cache.set(key, bytes(key), LONG);
      expect(new TextDecoder().decode(await cache.get(key))).toBe(key);
    });

    test('a closed cache is an empty one', async () => {
      await cache.set('k', bytes('v'), LONG);
      await cache.close();
      expect(await cache.get('k')).toBeUndefined();
    });
  });
}

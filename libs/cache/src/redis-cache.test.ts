import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cache } from './cache.ts';
import { RedisCache } from './redis-cache.ts';
import { cacheSuite } from './testing/cache-suite.ts';
import { startRedis, type TestRedis } from './testing/start-redis.ts';

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await redis?.stop();
});

async function ready(cache: Cache): Promise<Cache> {
  for (let tries = 0; tries < 500; tries += 1) {
    await cache.set('ready', Uint8Array.of(1), 60_000);
    if ((await cache.get('ready')) !== undefined) return cache;
    await sleep(10);
  }
  throw new Error('the cache never answered');
}

const open = (url: string): Cache => new RedisCache({ url, prefix: `${randomUUID()}:`, timeoutMs: 2_000, pauseMs: 10 });

cacheSuite('redis', () => ready(open(redis.url)));

describe('RedisCache when Redis is not well', () => {
  test('no server at all: everything is a miss', async () => {
    const cache = open('redis://127.0.0.1:1');
    await cache.set('k', Uint8Array.of(1), 1_000);
    expect(await cache.get('k')).toBeUndefined();
    await cache.close();
  });

  test('flushed: the value is gone, new ones are taken', async () => {
    const cache = await ready(open(redis.url));
    const admin = createClient({ socket: { path: redis.url.slice('unix://'.length), tls: false } });
    await admin.connect();
    await cache.set('k', Uint8Array.of(1), 60_000);
    await admin.flushAll();
    expect(await cache.get('k')).toBeUndefined();
    await cache.set('k', Uint8Array.of(2), 60_000);
    expect([...((await cache.get('k')) ?? [])]).toEqual([2]);
    admin.destroy();
    await cache.close();
  });

  test('a value of another type is a miss', async () => {
    const cache = new RedisCache({ url: redis.url, prefix: 'poisoned:', pauseMs: 0, timeoutMs: 2_000 });
    await ready(cache);
    const admin = createClient({ socket: { path: redis.url.slice('unix://'.length), tls: false } });
    await admin.connect();
    await admin.lPush('poisoned:k', 'x');
    expect(await cache.get('k')).toBeUndefined();
    admin.destroy();
    await cache.close();
  });

  test('stopped and killed: misses without an error, told once', async () => {
    const own = await startRedis();
    const told: string[] = [];
    const cache = new RedisCache({
      url: own.url,
      prefix: 'k:',
      timeoutMs: 100,
      pauseMs: 60_000,
      onDown: (error) => told.push(error.message),
    });
    await ready(cache);
    own.process.kill('SIGSTOP');
    expect(await cache.get('ready')).toBeUndefined();
    expect(await cache.get('ready')).toBeUndefined();
    expect(told).toHaveLength(1);
    await own.stop();
    expect(await cache.get('ready')).toBeUndefined();
    await cache.close();
  });
});

import { get } from 'node:https';
import { connectBus, NatsEventBus } from '@atoll/bus';
import { startRedis, type TestRedis } from '@atoll/cache/testing';
import { hasReason } from '@atoll/errors';
import { imageV1 } from '@atoll/proto';
import type { Role } from '@atoll/rpc';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { BLOB_ROLES } from './api/grpc/blob-service.ts';
import { IMAGE_ROLES } from './api/grpc/image-service.ts';
import { makeImage, pushImage } from './testing/make-image.ts';
import { startRegistry, type TestRegistry } from './testing/start-registry.ts';

const ROLES: readonly Role[] = ['gateway', 'scheduler', 'registry', 'image-builder', 'node', 'operator'];

describe('roles', () => {
  let registry: TestRegistry;
  beforeAll(async () => {
    registry = await startRegistry();
  });
  afterAll(() => registry?.stop());

  const methods = [
    ...Object.entries(IMAGE_ROLES).map(([name, roles]) => ({ service: 'images' as const, name, roles })),
    ...Object.entries(BLOB_ROLES).map(([name, roles]) => ({ service: 'blobs' as const, name, roles })),
  ];

  test('every method of the two services is in the table', () => {
    const all = [...Object.keys(imageV1.ImageServiceService), ...Object.keys(imageV1.BlobServiceService)];
    expect(methods.map((method) => method.name).sort()).toEqual(all.sort());
  });

  test.each(ROLES)('%s gets through where the table says so and nowhere else', async (role) => {
    const clients = { images: await registry.images(role), blobs: await registry.blobs(role) };
    for (const { service, name, roles } of methods) {
      const call = (clients[service] as unknown as Record<string, (request: unknown) => unknown>)[name];
      const denied = hasReason(await outcome(call?.(requestOf(name))), 'permission-denied');
      expect(denied, name).toBe(!(roles as readonly string[]).includes(role));
    }
  });
});

/** A request of the right kind with nothing in it; streams end at once. */
function requestOf(method: string): unknown {
  if (['importImage', 'loadImages', 'writeBlob'].includes(method)) return (async function* () {})();
  return {
    reference: '',
    source: '',
    target: '',
    digest: '',
    offset: 0n,
    references: [],
    filters: {},
    inUse: {},
    running: [],
    tags: [],
    layers: [],
    config: Buffer.alloc(0),
    parent: '',
    platform: '',
    all: false,
    allTags: false,
    force: false,
    noPrune: false,
  };
}

async function outcome(call: unknown): Promise<unknown> {
  try {
    if (call instanceof Promise) await call;
    else for await (const _ of call as AsyncIterable<unknown>);
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('one registry', () => {
  let registry: TestRegistry;
  afterEach(() => registry?.stop());

  test('tells the cluster what happens to images', async () => {
    registry = await startRegistry();
    const bus = await connectBus({ servers: [registry.natsUrl], name: 'events-test' });
    const events = new NatsEventBus(bus);
    const image = await makeImage({ labels: { k: 'v' } });
    await pushImage(registry.http, 'ev', 'v1', image);
    const images = await registry.images();
    await images.tagImage({ source: 'ev:v1', target: 'ev:v2' });
    for await (const _ of images.saveImages({ references: ['ev:v2'] }));
    const { image: made } = await images.resolveImage({ reference: 'ev:v1' });
    const config = Buffer.from(JSON.stringify({ ...JSON.parse(made?.config.toString() ?? ''), author: 'me' }));
    const request = { config, layers: made?.layers ?? [], tags: [], parent: made?.id ?? '' };
    const { image: child } = await images.createImage(request);
    await images.removeImage({ reference: child?.id ?? '', force: false, noPrune: false, inUse: {}, running: [] });
    await images.removeImage({ reference: 'ev:v2', force: false, noPrune: false, inUse: {}, running: [] });
    await images.removeImage({ reference: 'ev:v1', force: false, noPrune: false, inUse: {}, running: [] });
    const seen: string[] = [];
    const signal = AbortSignal.timeout(20_000);
    for await (const event of events.subscribe({ sinceNs: 0n, signal })) {
      seen.push(`${event.type} ${event.action} ${event.attributes['name']}`);
      if (event.action === 'delete' && event.actorId === image.configDigest) break;
    }
    const { configDigest: id } = image;
    expect(seen).toEqual([
      'image tag ev:v2',
      `image save ${id}`,
      `image create ${child?.id}`,
      `image delete ${child?.id}`,
      `image untag ${id}`,
      `image untag ${id}`,
      `image untag ${id}`,
      `image delete ${id}`,
    ]);
    await events.close();
    await bus.close();
  });

  test('serves the distribution API over TLS when asked to', async () => {
    registry = await startRegistry({ ATOLL_HTTP_TLS: 'true' });
    const url = registry.http.replace('http:', 'https:');
    const ca = registry.pki.authority.certificatePem;
    const status = await new Promise((resolve, reject) => {
      get(`${url}/v2/`, { ca }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject);
    });
    expect(status).toBe(200);
    await expect(fetch(`${registry.http}/v2/`)).rejects.toThrow();
  });

  test('deletes no blob when the names are lost', async () => {
    registry = await startRegistry({ ATOLL_GC_GRACE_SECONDS: '0', ATOLL_GC_INTERVAL_SECONDS: '1' });
    const image = await makeImage();
    await pushImage(registry.http, 'lost', 'v1', image);
    await registry.loseNames();
    await registry.restart();
    const images = await registry.images();
    expect((await images.listImages({ all: true, filters: {} })).images).toEqual([]);
    await images.pruneImages({ filters: {}, inUse: {} });
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    const blobs = await registry.blobs();
    for (const digest of [image.configDigest, image.manifestDigest]) {
      expect((await blobs.statBlob({ digest })).exists).toBe(true);
    }
  });

  test('takes the blobs of a removed image away soon', async () => {
    registry = await startRegistry({ ATOLL_GC_GRACE_SECONDS: '0' });
    const image = await makeImage();
    await pushImage(registry.http, 'gone', 'v1', image);
    const images = await registry.images();
    await images.removeImage({ reference: 'gone:v1', force: false, noPrune: false, inUse: {}, running: [] });
    const blobs = await registry.blobs();
    let left = true;
    for (let tries = 0; tries < 300 && left; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      left = (await blobs.statBlob({ digest: image.configDigest })).exists;
    }
    expect(left).toBe(false);
  });
});

describe('with Redis', () => {
  let redis: TestRedis;
  let registry: TestRegistry;
  beforeAll(async () => {
    redis = await startRedis();
    registry = await startRegistry({ REDIS_URL: redis.url });
  });
  afterAll(async () => {
    await registry?.stop();
    await redis?.stop();
  });

  test('poisoned, flushed, of another type and dead: the answers stay right', async () => {
    const image = await makeImage();
    await pushImage(registry.http, 'cached', 'v1', image);
    const get = async () => {
      const response = await fetch(`${registry.http}/v2/cached/manifests/v1`);
      return Buffer.from(await response.arrayBuffer()).equals(image.manifest);
    };
    const admin = createClient({ socket: { path: redis.url.slice('unix://'.length), tls: false } });
    await admin.connect();
    let keys: string[] = [];
    for (let tries = 0; tries < 300 && keys.length === 0; tries += 1) {
      expect(await get()).toBe(true);
      keys = await admin.keys('atoll:registry:*');
    }
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) await admin.set(key, 'poison');
    expect(await get()).toBe(true);
    await admin.flushAll();
    expect(await get()).toBe(true);
    for (const key of keys) {
      await admin.del(key);
      await admin.lPush(key, 'x');
    }
    expect(await get()).toBe(true);
    await fetch(`${registry.http}/v2/cached/manifests/${image.manifestDigest}`, { method: 'DELETE' });
    expect((await fetch(`${registry.http}/v2/cached/manifests/v1`)).status).toBe(404);
    admin.destroy();
    redis.process.kill('SIGKILL');
    await pushImage(registry.http, 'cached', 'v1', image);
    expect(await get()).toBe(true);
  });
});

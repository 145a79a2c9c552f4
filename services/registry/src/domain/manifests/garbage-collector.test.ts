import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryCache } from '@atoll/cache';
import { hasReason } from '@atoll/errors';
import type { Digest } from '@atoll/reference';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FsBlobStore } from '../../adapters/blobs/fs-blob-store.ts';
import { MemoryRecordStore } from '../../adapters/records/memory-record-store.ts';
import { digestOf, type MadeImage, makeImage } from '../../testing/make-image.ts';
import { storeBytes } from '../blobs/blob-store.ts';
import { Names } from '../records/names.ts';
import { Documents } from './documents.ts';
import { GarbageCollector } from './garbage-collector.ts';
import { Liveness } from './liveness.ts';
import { Manifests } from './manifests.ts';

const REPOSITORY = 'docker.io/library/a';
let root: string;
let blobs: FsBlobStore;
let names: Names;
let documents: Documents;
let liveness: Liveness;
let manifests: Manifests;
const stop = new AbortController();

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'atoll-gc-'));
  blobs = await FsBlobStore.open({ root, maxBlobBytes: 1e9, minFreeBytes: 0 });
  names = new Names(new MemoryRecordStore());
  await names.start(stop.signal);
  documents = new Documents(blobs, new MemoryCache({ maxBytes: 1e6 }));
  liveness = new Liveness();
  const platform = { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch };
  manifests = new Manifests({ blobs, names, documents, liveness, platform });
});
afterEach(() => rm(root, { recursive: true }));

function collector(graceMs: number, trusted = true): GarbageCollector {
  const base = { blobs, names, documents, liveness, uploadAgeMs: 0, graceMs };
  return new GarbageCollector({ ...base, trusted: async () => trusted });
}

async function upload(image: MadeImage): Promise<void> {
  for (const bytes of [image.config, ...image.layers.map((layer) => layer.bytes)]) {
    const { digest, size } = await storeBytes(blobs, bytes);
    await names.linkBlob(REPOSITORY, digest, { size });
  }
}

async function put(image: MadeImage, tag: string): Promise<void> {
  await manifests.put({
    repository: REPOSITORY,
    reference: { tag },
    contentType: image.mediaType,
    bytes: image.manifest,
  });
}

const isThere = async (digest: string) => (await blobs.stat(digest as Digest)) !== undefined;
const partsOf = (image: MadeImage) => [
  image.configDigest,
  image.manifestDigest,
  ...image.layers.map((layer) => layer.digest),
];

describe('collection', () => {
  test('takes what nobody names and leaves what somebody does', async () => {
    const image = await makeImage();
    await upload(image);
    await put(image, 'v1');
    const { digest: loose } = await storeBytes(blobs, Buffer.from('loose'));
    await names.linkBlob(REPOSITORY, loose, { size: 5 });
    const collected = await collector(0).collect(stop.signal);
    expect(collected).toEqual({ blobs: 1, bytes: 5, uploads: 0 });
    for (const digest of partsOf(image)) expect(await isThere(digest), digest).toBe(true);
    expect(await names.blob(REPOSITORY, loose)).toBeUndefined();
  });

  test('takes an image with its last name', async () => {
    const image = await makeImage();
    await upload(image);
    await put(image, 'v1');
    await names.remove({ kind: 'tag', repository: REPOSITORY, tag: 'v1' });
    await names.remove({ kind: 'manifest', repository: REPOSITORY, digest: image.manifestDigest as Digest });
    await names.remove({ kind: 'image', id: image.configDigest as Digest });
    await collector(0).collect(stop.signal);
    for (const digest of partsOf(image)) expect(await isThere(digest), digest).toBe(false);
  });

  test('leaves young blobs, and old ones somebody was told of', async () => {
    const { digest } = await storeBytes(blobs, Buffer.from('young'));
    expect((await collector(60_000).collect(stop.signal)).blobs).toBe(0);
    expect(await isThere(digest)).toBe(true);
  });

  test('leaves all when the names cannot be trusted', async () => {
    const { digest } = await storeBytes(blobs, Buffer.from('loose'));
    await collector(0, false).collect(stop.signal);
    expect(await isThere(digest)).toBe(true);
  });

  test('a manifest that lists another one as a layer does not hide what that one needs', async () => {
    const victim = await makeImage({ layers: [{ v: 'ictim' }] });
    await upload(victim);
    const { digest, size } = await storeBytes(blobs, victim.manifest);
    await names.linkBlob(REPOSITORY, digest, { size });
    const hostile = JSON.parse(victim.manifest.toString());
    hostile.layers = [{ ...hostile.layers[0], digest, size }];
    const bytes = Buffer.from(JSON.stringify(hostile));
    await manifests.put({ repository: REPOSITORY, reference: { tag: 'a' }, contentType: undefined, bytes });
    await put(victim, 'z');
    await collector(0).collect(stop.signal);
    for (const part of partsOf(victim)) expect(await isThere(part), part).toBe(true);
  });

  test('an index that contains itself as a child of a child ends', async () => {
    const image = await makeImage();
    await upload(image);
    await put(image, 'v1');
    const index = (child: { digest: string; size: number }) =>
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: 'application/vnd.oci.image.index.v1+json',
          manifests: [{ mediaType: image.mediaType, ...child, platform: { os: 'linux', architecture: 'amd64' } }],
        }),
      );
    let child = { digest: image.manifestDigest, size: image.manifest.length };
    for (let depth = 0; depth < 8; depth += 1) {
      const bytes = index(child);
      await manifests.put({ repository: REPOSITORY, reference: { tag: `d${depth}` }, contentType: undefined, bytes });
      child = { digest: digestOf(bytes), size: bytes.length };
    }
    await collector(0).collect(stop.signal);
    for (const part of partsOf(image)) expect(await isThere(part), part).toBe(true);
  });
});

test('pushes and collections without any grace: an acknowledged manifest never lacks a blob', async () => {
  const images = await Promise.all(
    Array.from({ length: 8 }, (_, i) => makeImage({ layers: [{ i: `${i % 3}` }, { [`f${i}`]: 'x' }] })),
  );
  let done = false;
  const collecting = (async () => {
    const gc = collector(0);
    let count = 0;
    for (; !done; count += 1) await gc.collect(stop.signal);
    return count;
  })();
  const push = async (image: MadeImage, i: number): Promise<number> => {
    let acknowledged = 0;
    for (let round = 0; round < 25; round += 1) {
      const tag = `t${i}`;
      try {
        await upload(image);
        await put(image, tag);
      } catch (error) {
        if (hasReason(error, 'not-found')) continue; // told so, not acknowledged: the client pushes again
        throw error;
      }
      acknowledged += 1;
      for (const digest of partsOf(image)) expect(await isThere(digest), `${digest} of ${tag}`).toBe(true);
      if (round % 2 === 0) continue;
      await manifests.remove(REPOSITORY, { digest: image.manifestDigest as Digest });
      await names.remove({ kind: 'image', id: image.configDigest as Digest });
    }
    return acknowledged;
  };
  const pushed = await Promise.allSettled(images.map(push));
  done = true;
  expect(await collecting).toBeGreaterThan(0);
  const acknowledged = pushed.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
  expect(acknowledged.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
});

import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { hasReason } from '@atoll/errors';
import type { imageV1 } from '@atoll/proto';
import type { Client } from '@atoll/rpc';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { failureOf, ImageCalls, NO_USE, streamOf } from '../../testing/calls.ts';
import { digestOf, makeImage, makeTar, pushImage } from '../../testing/make-image.ts';
import { startRegistry, type TestRegistry } from '../../testing/start-registry.ts';

let registry: TestRegistry;
let calls: ImageCalls;
let images: Client<imageV1.ImageServiceService>;
let blobs: Client<imageV1.BlobServiceService>;
beforeAll(async () => {
  registry = await startRegistry();
  images = await registry.images();
  calls = new ImageCalls(images);
  blobs = await registry.blobs();
});
afterAll(() => registry?.stop());

beforeEach(() => calls.removeAll());

describe('blobs', () => {
  test('written, found, read from an offset', async () => {
    const bytes = Buffer.from('some layer');
    const digest = digestOf(bytes);
    const half = bytes.subarray(0, 4);
    const rest = bytes.subarray(4);
    const written = await blobs.writeBlob(streamOf({ digest, data: half }, { digest: '', data: rest }));
    expect(written).toEqual({ digest, size: 10n });
    expect(await blobs.statBlob({ digest })).toEqual({ exists: true, size: 10n });
    const read: imageV1.ReadBlobResponse[] = [];
    for await (const part of blobs.readBlob({ digest, offset: 5n })) read.push(part);
    expect(read[0]?.size).toBe(10n);
    expect(Buffer.concat(read.map((part) => part.data)).toString()).toBe('layer');
  });

  test('an empty blob is a blob', async () => {
    const { digest } = await blobs.writeBlob(streamOf({ digest: '', data: Buffer.alloc(0) }));
    const read: imageV1.ReadBlobResponse[] = [];
    for await (const part of blobs.readBlob({ digest, offset: 0n })) read.push(part);
    expect(read.map((part) => part.size)).toEqual([0n]);
  });

  test('wrong bytes are refused and nothing is kept', async () => {
    const digest = digestOf(Buffer.from('right'));
    const wrong = blobs.writeBlob(streamOf({ digest, data: Buffer.from('wrong') }));
    expect(hasReason(await wrong.catch((error) => error), 'invalid-argument')).toBe(true);
    expect((await blobs.statBlob({ digest })).exists).toBe(false);
  });

  test('an unknown blob is not found', async () => {
    const digest = digestOf(Buffer.from('unknown'));
    const read = (async () => {
      for await (const _ of blobs.readBlob({ digest, offset: 0n }));
    })();
    expect(hasReason(await read.catch((error) => error), 'not-found')).toBe(true);
  });
});

describe('import', () => {
  test.each([
    ['plain', (tar: Buffer) => tar],
    ['gzip', (tar: Buffer) => gzipSync(tar)],
    ['zstd', (tar: Buffer) => zstdCompressSync(tar)],
  ])('a root file system: %s', async (_name, compress) => {
    const tar = await makeTar({ 'bin/sh': 'x'.repeat(100_000) });
    const id = await calls.importTar('busybox', compress(tar), ['CMD ["/bin/sh"]', 'ENV A=b']);
    const image = await calls.resolve('busybox');
    expect(image?.id).toBe(id);
    expect(image?.layers.map((layer) => layer.diffId)).toEqual([digestOf(tar)]);
    expect(JSON.parse(image?.config.toString() ?? '')).toMatchObject({
      os: 'linux',
      config: { Cmd: ['/bin/sh'], Env: ['A=b'] },
      history: [{ comment: 'Imported from -' }],
    });
  });

  test.each([
    ['no tar', Buffer.alloc(4096, 'x'), [], /no tar/],
    ['nothing', Buffer.alloc(0), [], /empty/],
    ['damaged gzip', gzipSync(Buffer.alloc(102_400)).subarray(0, 60), [], /damaged/],
    ['bzip2', Buffer.from('BZh91AY&SY'), [], /bzip2/],
    ['a change that is none', Buffer.alloc(1024), ['RUN true'], /RUN is not a valid change command/],
  ])('refused: %s', async (_name, bytes, changes, message) => {
    expect(await failureOf(calls.importTar('bad', bytes, changes))).toMatch(message);
    expect(await failureOf(calls.resolve('bad'))).toBe('No such image: bad:latest');
  });
});

describe('names', () => {
  test('an image is found by name, tag, digest, id and the start of its id', async () => {
    const made = await makeImage();
    await pushImage(registry.http, 'find/me', 'one', made);
    const hex = made.configDigest.slice('sha256:'.length);
    for (const reference of [
      'find/me:one',
      `find/me@${made.manifestDigest}`,
      made.configDigest,
      hex,
      hex.slice(0, 12),
      `sha256:${hex.slice(0, 8)}`,
    ]) {
      expect((await calls.resolve(reference))?.id, reference).toBe(made.configDigest);
    }
    expect(await failureOf(calls.resolve('find/me'))).toBe('No such image: find/me:latest');
    expect(await failureOf(calls.resolve('Find/Me'))).toMatch(/must be lowercase/);
  });

  test('what a name means follows its tag at once', async () => {
    const identify = (reference: string) => images.identifyImage({ reference });
    for (const content of ['1', '2']) {
      const id = await calls.importTar('moves', await makeTar({ f: content }));
      const image = await calls.resolve('moves');
      expect(await identify('moves')).toEqual({ id, manifestDigest: image?.manifestDigest });
      expect(await identify(id.slice(0, 20))).toEqual(await identify('moves'));
    }
    await images.removeImage({ ...NO_USE, reference: 'moves', force: true });
    expect(await failureOf(identify('moves'))).toBe('No such image: moves:latest');
  });

  test('tag, list, history', async () => {
    const id = await calls.importTar('a', await makeTar({ f: '1' }));
    await images.tagImage({ source: 'a', target: 'localhost:5000/b:two' });
    const { images: all } = await images.listImages({ all: false, filters: {} });
    expect(all.map((image) => [image.id, image.repoTags])).toEqual([[id, ['a:latest', 'localhost:5000/b:two']]]);
    const { entries } = await images.imageHistory({ reference: 'a' });
    expect(entries).toMatchObject([{ id, tags: ['a:latest', 'localhost:5000/b:two'], comment: 'Imported from -' }]);
  });

  test('a tag that moves leaves a dangling image, which prune removes', async () => {
    const old = await calls.importTar('m', await makeTar({ f: '1' }));
    const fresh = await calls.importTar('m', await makeTar({ f: '2' }));
    const dangling = await images.listImages({ all: false, filters: { dangling: { values: ['true'] } } });
    expect(dangling.images.map((image) => image.id)).toEqual([old]);
    const { removed, reclaimed } = await images.pruneImages({ filters: {}, inUse: {} });
    expect(removed.map((entry) => entry.deleted).filter(Boolean)).toContain(old);
    expect(reclaimed).toBe(2048n);
    expect((await calls.resolve('m'))?.id).toBe(fresh);
  });
});

describe('list filters', () => {
  test.each<[string, Record<string, string[]>, string[]]>([
    ['label key', { label: ['k'] }, ['f1:latest']],
    ['label value', { label: ['k=v'] }, ['f1:latest']],
    ['label of no image', { label: ['k=w'] }, []],
    ['reference name', { reference: ['f*'] }, ['f1:latest', 'f2:x']],
    ['reference tag', { reference: ['*:x'] }, ['f2:x']],
    ['before', { before: ['f2:x'] }, ['f1:latest']],
    ['since', { since: ['f1'] }, ['f2:x']],
    ['until', { until: ['2026-01-01T12:00:00Z'] }, ['f1:latest']],
  ])('%s', async (_name, filters, want) => {
    const one = await makeImage({ labels: { k: 'v' }, created: '2026-01-01T00:00:00Z' });
    const two = await makeImage({ created: '2026-01-02T00:00:00Z' });
    await pushImage(registry.http, 'f1', 'latest', one);
    await pushImage(registry.http, 'f2', 'x', two);
    const values = Object.fromEntries(Object.entries(filters).map(([name, list]) => [name, { values: list }]));
    const { images: found } = await images.listImages({ all: false, filters: values });
    expect(found.flatMap((image) => image.repoTags).sort()).toEqual(want);
  });

  test.each([
    ['unknown filter', { colour: { values: ['red'] } }, "invalid filter 'colour'"],
    ['bad flag', { dangling: { values: ['perhaps'] } }, "invalid filter 'dangling=[perhaps]'"],
  ])('%s', async (_name, filters, message) => {
    expect(await failureOf(images.listImages({ all: false, filters }))).toBe(message);
  });
});

describe('rmi', () => {
  const container = 'c'.repeat(64);

  test('the last name takes the image along', async () => {
    const id = await calls.importTar('r', await makeTar({ f: '1' }));
    const { removed } = await images.removeImage({ ...NO_USE, reference: 'r' });
    expect(removed.map((entry) => entry.untagged || entry.deleted).slice(0, 2)).toEqual(['r:latest', id]);
    expect(await failureOf(calls.resolve(id))).toBe(`No such image: ${id}`);
  });

  test('one of two names only goes', async () => {
    const id = await calls.importTar('r', await makeTar({ f: '1' }));
    await images.tagImage({ source: 'r', target: 's' });
    const { removed } = await images.removeImage({ ...NO_USE, reference: 'r' });
    expect(removed).toEqual([{ untagged: 'r:latest', deleted: '' }]);
    expect((await calls.resolve('s'))?.id).toBe(id);
  });

  test('conflicts in docker words', async () => {
    const id = await calls.importTar('r', await makeTar({ f: '1' }));
    const short = id.slice(7, 19);
    const inUse = { [id]: container };
    expect(await failureOf(images.removeImage({ ...NO_USE, reference: 'r', inUse }))).toBe(
      `conflict: unable to remove repository reference "r" (must force) - container cccccccccccc is using its referenced image ${short}`,
    );
    expect(await failureOf(images.removeImage({ ...NO_USE, reference: id, inUse }))).toBe(
      `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container cccccccccccc`,
    );
    expect(await failureOf(images.removeImage({ ...NO_USE, reference: id, force: true, inUse, running: [id] }))).toBe(
      `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container cccccccccccc`,
    );
    await images.tagImage({ source: 'r', target: 's' });
    expect(await failureOf(images.removeImage({ ...NO_USE, reference: id }))).toBe(
      `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
    );
    const { removed } = await images.removeImage({ ...NO_USE, reference: id, force: true });
    expect(removed.map((entry) => entry.untagged || entry.deleted).slice(0, 3)).toEqual(['r:latest', 's:latest', id]);
    expect(await failureOf(images.removeImage({ ...NO_USE, reference: 'r' }))).toBe('No such image: r:latest');
  });

  test('a parent stays while a child is there and goes with it', async () => {
    const base = await calls.importTar('base', await makeTar({ f: '1' }));
    const parent = await calls.resolve('base');
    const config = JSON.parse(parent?.config.toString() ?? '');
    const child = await images.createImage({
      config: Buffer.from(JSON.stringify({ ...config, author: 'me' })),
      layers: parent?.layers ?? [],
      tags: ['child'],
      parent: base,
    });
    expect(child.image?.parent).toBe(base);
    expect(await failureOf(images.removeImage({ ...NO_USE, reference: base, force: true }))).toMatch(
      /cannot be forced\) - image has dependent child images/,
    );
    await images.removeImage({ ...NO_USE, reference: 'base' });
    expect((await calls.resolve(base))?.repoTags).toEqual([]);
    const { removed } = await images.removeImage({ ...NO_USE, reference: 'child' });
    expect(removed.map((entry) => entry.deleted)).toContain(base);
  });
});

describe('create', () => {
  test('a config and layers become an image that clients can pull', async () => {
    const made = await makeImage({ layers: [{ a: '1' }, { b: '2' }] });
    for (const layer of made.layers) await blobs.writeBlob(streamOf({ digest: layer.digest, data: layer.bytes }));
    const { image } = await images.createImage({
      config: made.config,
      layers: made.layers.map(({ digest, diffId }) => ({ digest, diffId, mediaType: '', size: 0n })),
      tags: ['built:1'],
      parent: '',
    });
    expect(image).toMatchObject({ id: made.configDigest, repoTags: ['built:1'], repoDigests: [] });
    const response = await fetch(`${registry.http}/v2/built/manifests/1`);
    expect(response.headers.get('docker-content-digest')).toBe(image?.manifestDigest);
    const layer = await fetch(`${registry.http}/v2/built/blobs/${made.layers[1]?.digest}`);
    expect(Buffer.from(await layer.arrayBuffer()).equals(made.layers[1]?.bytes ?? Buffer.alloc(0))).toBe(true);
  });

  test.each([
    ['a layer that is not there', 0, {}, /not in the store/],
    ['too few layers', 1, {}, /1 diff ids, 0 layers/],
    ['a config that is no JSON', 0, { config: Buffer.from('{') }, /not JSON/],
    ['a bad name', 0, { tags: ['UPPER'] }, /lowercase/],
  ])('refused: %s', async (_name, skip, change, message) => {
    const made = await makeImage({ layers: [{ never: 'stored' }] });
    const layers = made.layers.slice(skip).map(({ digest, diffId }) => ({ digest, diffId, mediaType: '', size: 0n }));
    const request = { config: made.config, layers, tags: ['x'], parent: '', ...change };
    expect(await failureOf(images.createImage(request))).toMatch(message);
  });
});

describe('usage', () => {
  test('counts every blob once', async () => {
    const before = (await images.getImageUsage({})).blobBytes;
    const tar = await makeTar({ unique: `${Math.random()}` });
    await calls.importTar('u', tar);
    const usage = await images.getImageUsage({});
    const own = usage.images.find((image) => image.repoTags.includes('u:latest'));
    expect(usage.blobBytes - before).toBeGreaterThan(BigInt(tar.length));
    expect(own?.size).toBe(BigInt(tar.length));
    expect(gunzipSync(gzipSync(tar)).equals(tar)).toBe(true);
  });
});

test('what was acknowledged is there after a restart', async () => {
  const id = await calls.importTar('keep', await makeTar({ f: 'kept' }));
  await registry.restart();
  images = await registry.images();
  calls = new ImageCalls(images);
  blobs = await registry.blobs();
  expect((await calls.resolve('keep'))?.id).toBe(id);
});

import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasReason } from '@atoll/errors';
import type { Digest } from '@atoll/reference';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { storeBytes } from '../../domain/blobs/blob-store.ts';
import { digestOf } from '../../testing/make-image.ts';
import { FsBlobStore } from './fs-blob-store.ts';

let root: string;
let blobs: FsBlobStore;
const openStore = (at: string, maxBlobBytes = 1e9) => FsBlobStore.open({ root: at, maxBlobBytes, minFreeBytes: 0 });
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'atoll-blobs-'));
  blobs = await openStore(root);
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function* chunks(...parts: (string | Buffer | Error)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    if (part instanceof Error) throw part;
    yield Buffer.from(part);
  }
}

const reasonOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(() => 'none').catch((error) => error.reason);

describe('layout', () => {
  test('a blob is a file under its digest, nothing else is left', async () => {
    const { digest } = await storeBytes(blobs, Buffer.from('content'));
    const hex = digest.slice('sha256:'.length);
    expect((await stat(join(root, 'blobs/sha256', hex.slice(0, 2), hex))).size).toBe(7);
    expect(await readdir(join(root, 'uploads'))).toEqual([]);
    expect((await blobs.read(digest, 100)).toString()).toBe('content');
  });
});

describe('uploads', () => {
  test('go on in a new process from what is on the disk', async () => {
    const upload = await blobs.begin('repo');
    await upload.append(chunks('abc', 'def'));
    const next = await (await openStore(root)).resume(upload.id, 'repo');
    expect(next.size).toBe(6);
    await next.append(chunks('ghi'));
    expect((await next.commit(digestOf(Buffer.from('abcdefghi')) as Digest)).size).toBe(9);
  });

  test('keep what came before the source failed', async () => {
    const upload = await blobs.begin('repo');
    await expect(upload.append(chunks('abc', new Error('cut')))).rejects.toThrow('cut');
    expect(upload.size).toBe(3);
    await upload.append(chunks('def'));
    expect((await upload.commit()).digest).toBe(digestOf(Buffer.from('abcdef')));
  });

  test.each([
    ['another owner', (id: string) => [id, 'other']],
    ['an unknown id', () => ['0'.repeat(32), 'repo']],
    ['a path for an id', () => ['../../etc/passwd', 'repo']],
  ])('cannot be resumed: %s', async (_name, change) => {
    const upload = await blobs.begin('repo');
    const [id = '', owner = ''] = change(upload.id);
    expect(await reasonOf(blobs.resume(id, owner))).toBe('not-found');
  });

  test('take one writer at a time', async () => {
    const upload = await blobs.begin('repo');
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('abc');
      await held;
    }
    const first = upload.append(slow());
    expect(await reasonOf(upload.append(chunks('x')))).toBe('conflict');
    expect(await blobs.purgeUploads(-1)).toBe(0);
    release();
    await first;
    expect((await upload.commit()).size).toBe(3);
  });

  test('are bounded in size', async () => {
    const small = await openStore(root, 5);
    const upload = await small.begin('repo');
    expect(await reasonOf(upload.append(chunks('abc', 'def')))).toBe('resource-exhausted');
  });

  test('are purged by age', async () => {
    const [old, fresh] = [await blobs.begin('a'), await blobs.begin('b')];
    for (const name of await readdir(join(root, 'uploads'))) {
      if (name.startsWith(old.id)) await utimes(join(root, 'uploads', name), new Date(0), new Date(0));
    }
    expect(await (await openStore(root)).purgeUploads(60_000)).toBe(1);
    expect(await reasonOf(old.append(chunks('x')))).toBe('not-found');
    await fresh.append(chunks('x'));
  });
});

test('a blob counts as new from its commit, however old its bytes are', async () => {
  const upload = await blobs.begin('repo');
  await upload.append(chunks('old'));
  const [name = ''] = await readdir(join(root, 'uploads'));
  await utimes(join(root, 'uploads', name), new Date(0), new Date(0));
  const { digest } = await (await (await openStore(root)).resume(upload.id, 'repo')).commit();
  expect(blobs.remove(digest, 60_000, () => true)).toBe(false);
  expect(blobs.remove(digest, 0, () => false)).toBe(false);
  expect(blobs.remove(digest, 0, () => true)).toBe(true);
});

describe('ranges', () => {
  test.each([
    ['all', undefined, '0123456789'],
    ['a part', { start: 2, end: 4 }, '234'],
    ['more than there is', { start: 8, end: 100 }, '89'],
  ])('%s', async (_name, range, want) => {
    const { digest } = await storeBytes(blobs, Buffer.from('0123456789'));
    const { size, stream } = await blobs.open(digest, range);
    expect(size).toBe(10);
    expect(Buffer.concat(await stream.toArray()).toString()).toBe(want);
  });
});

/** Mounting a small file system needs root. */
const isRoot = process.getuid?.() === 0;

test.runIf(isRoot)('a full disk is said so and leaves the store working', async () => {
  const small = join(root, 'small');
  await mkdir(small);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'atoll-test', small]);
  try {
    const full = await openStore(small);
    const upload = await full.begin('repo');
    const error = await upload.append(chunks(Buffer.alloc(1024 * 1024))).catch((caught) => caught);
    expect(hasReason(error, 'resource-exhausted')).toBe(true);
    expect(error.message).toMatch(/disk of the image store .* is full/);
    await upload.append(chunks('abc'));
    const { digest, size } = await upload.commit();
    expect([size, (await full.read(digest, 1e6)).toString()]).toEqual([3, 'abc']);
  } finally {
    execFileSync('umount', [small]);
  }
});

test('too little room refuses an upload before it begins', async () => {
  const picky = await FsBlobStore.open({ root, maxBlobBytes: 1e9, minFreeBytes: Number.MAX_SAFE_INTEGER });
  expect(await reasonOf(picky.begin('repo'))).toBe('resource-exhausted');
});

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { notFound } from '@atoll/errors';
import { createLogger } from '@atoll/logging';
import { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { ShimFilesystem } from '../archive/shim-filesystem.ts';
import { ShimTools } from '../runtime/shim-tools.ts';
import { buildShim } from '../runtime/testing/shim-binary.ts';
import { decompressed } from './decompress.ts';
import { FsLayerStore } from './fs-layer-store.ts';
import { LayerDirectory } from './layer-directory.ts';
import { type LayerStoreFixture, layerStoreSuite } from './testing/layer-store-suite.ts';

const WEEK_MS = 7 * 24 * 3_600_000;

class Fixture implements LayerStoreFixture {
  readonly store: FsLayerStore;
  readonly folder: string;
  readonly #blobs = new Map<string, Buffer>();
  readonly #reads = new Map<string, number>();
  #hold: Promise<void> = Promise.resolve();

  private constructor(folder: string, directory: LayerDirectory) {
    this.folder = folder;
    this.store = new FsLayerStore({
      directory,
      root: folder,
      blobs: { read: (digest) => this.#read(digest) },
      unpacker: new ShimFilesystem(new ShimTools(buildShim())),
      keepMs: WEEK_MS,
      diskPercent: 100,
      logger: createLogger({ service: 'test', level: 'silent' }),
    });
  }

  static async create(): Promise<Fixture> {
    const folder = await mkdtemp(join(tmpdir(), 'atoll-layers-'));
    return new Fixture(folder, await LayerDirectory.open(join(folder, 'layers')));
  }

  async publish(file: string, content: string): Promise<containerV1.Layer> {
    const source = await this.filled(file, content);
    const tar = execFileSync('tar', ['-C', source, '-cf', '-', '.']);
    const blob = gzipSync(tar);
    const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    this.#blobs.set(digestOf(blob), blob);
    return containerV1.Layer.fromPartial({ digest: digestOf(blob), diffId: digestOf(tar), size: BigInt(blob.length) });
  }

  reads({ digest }: containerV1.Layer): number {
    return this.#reads.get(digest) ?? 0;
  }

  hold(): () => void {
    let go = (): void => undefined;
    this.#hold = new Promise((resolve) => {
      go = resolve;
    });
    return () => go();
  }

  async filled(file: string, content: string): Promise<string> {
    const path = await mkdtemp(join(this.folder, 'filled-'));
    await writeFile(join(path, file), content);
    return path;
  }

  async age(): Promise<void> {
    const root = join(this.folder, 'layers');
    const past = new Date(Date.now() - 2 * WEEK_MS);
    // The store notes the time of use in the background.
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const name of await readdir(root)) await utimes(join(root, name, 'layer.json'), past, past);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }

  async *#read(digest: string): AsyncGenerator<Uint8Array> {
    await this.#hold;
    const blob = this.#blobs.get(digest);
    if (!blob) throw notFound(`no blob ${digest}`);
    this.#reads.set(digest, (this.#reads.get(digest) ?? 0) + 1);
    yield blob;
  }
}

layerStoreSuite('layers in folders', () => Fixture.create());

describe('after a crash', { timeout: 120_000 }, () => {
  test('what is half made, or was not written out before a power cut, is gone', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'atoll-layers-'));
    const layer = async (name: string, record: object | string, synced: boolean): Promise<void> => {
      await mkdir(join(folder, name, 'fs'), { recursive: true });
      const text = typeof record === 'string' ? record : JSON.stringify(record);
      if (text !== '') await writeFile(join(folder, name, 'layer.json'), text);
      if (synced) await writeFile(join(folder, name, 'synced'), '');
    };
    const name = (digit: string): string => digit.repeat(64);
    const record = (digit: string): object => ({ diffId: `sha256:${name(digit)}`, size: 1, bootId: 'an earlier boot' });
    await layer(name('a'), record('a'), true);
    await layer(name('b'), record('b'), false);
    await layer(name('c'), '', true);
    await layer(name('d'), '{"torn', true);
    await layer(name('e'), record('f'), true);
    await layer('.new-123', record('a'), true);
    const directory = await LayerDirectory.open(folder);
    expect(await readdir(folder)).toEqual([name('a')]);
    expect((await directory.list()).map(({ diffId }) => diffId)).toEqual([`sha256:${name('a')}`]);
    await rm(folder, { recursive: true });
  });
});

describe('decompression', () => {
  const text = Buffer.from('x'.repeat(100_000));
  async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  test.each([
    ['gzip', gzipSync(text)],
    ['zstd', zstdCompressSync(text)],
    ['plain', text],
  ])('%s is recognised by its first bytes, in pieces of any size', async (_name, bytes) => {
    for (const size of [1, 3, 1000]) {
      const pieces: Uint8Array[] = [];
      for await (const piece of decompressed(inPieces(bytes, size))) pieces.push(piece);
      expect(Buffer.concat(pieces).equals(text)).toBe(true);
    }
  });
  test('a stream that ends early is an error', async () => {
    const cut = gzipSync(text).subarray(0, 60);
    await expect(
      (async () => {
        for await (const _ of decompressed(inPieces(cut, 10)));
      })(),
    ).rejects.toThrow();
  });
  test('nothing at all is nothing', async () => {
    for await (const _ of decompressed(inPieces(Buffer.alloc(0), 1))) throw new Error('unexpected');
  });
});

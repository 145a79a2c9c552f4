import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { notFound, reasonOf } from '@atoll/errors';
import { createLogger } from '@atoll/logging';
import { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { ShimFilesystem } from '../archive/shim-filesystem.ts';
import { ShimTools, type UnpackLimits } from '../runtime/shim-tools.ts';
import { file } from '../runtime/testing/layer-folder.ts';
import { buildShim } from '../runtime/testing/shim-binary.ts';
import { buildTar } from '../runtime/testing/tar-builder.ts';
import { decompressed } from './decompress.ts';
import { FsLayerStore } from './fs-layer-store.ts';
import { LayerDirectory } from './layer-directory.ts';
import { type LayerStoreFixture, layerStoreSuite } from './testing/layer-store-suite.ts';

const WEEK_MS = 7 * 24 * 3_600_000;

class Fixture implements LayerStoreFixture {
  readonly store: FsLayerStore;
  readonly folder: string;
  room: UnpackLimits = {};
  /** Called with the share of a blob that has been read. */
  onRead: (share: number) => void = () => undefined;
  readonly #blobs = new Map<string, Buffer>();
  readonly #reads = new Map<string, number>();
  #hold: Promise<void> = Promise.resolve();

  private constructor(folder: string, directory: LayerDirectory) {
    this.folder = folder;
    this.store = new FsLayerStore({
      directory,
      root: folder,
      blobs: { read: (digest) => this.#read(digest) },
      unpacker: new ShimFilesystem(new ShimTools(buildShim()), async () => this.room),
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
    return this.publishTar(execFileSync('tar', ['-C', source, '-cf', '-', '.']));
  }

  publishTar(tar: Buffer, blob: Buffer = gzipSync(tar)): containerV1.Layer {
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
    const parts = 20;
    for (let part = 0; part < parts; part++) {
      this.onRead(part / parts);
      yield blob.subarray(Math.floor((part * blob.length) / parts), Math.floor(((part + 1) * blob.length) / parts));
      // What was sent has been taken before the next.
      if (blob.length > 100_000) await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

layerStoreSuite('layers in folders', () => Fixture.create());

describe('layers that are hostile', { timeout: 120_000 }, () => {
  const signal = new AbortController().signal;
  const bomb = buildTar([file('f', '\0'.repeat(16 << 20))]);
  const many = buildTar(Array.from({ length: 5_000 }, (_, index) => file(`d/${index}`, '')));
  /** A frame that wants a window of 2 GiB for one byte (RFC 8878). */
  const window = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 9, 0, 0, 0x78]);

  test.each<[string, Buffer, Buffer, UnpackLimits, string]>([
    ['I12: a gzip bomb', bomb, gzipSync(bomb), { maxBytes: 1 << 20 }, 'resource-exhausted'],
    ['I12: a zstd bomb', bomb, zstdCompressSync(bomb), { maxBytes: 1 << 20 }, 'resource-exhausted'],
    ['I12: a zstd window of 2 GiB', bomb, window, {}, 'invalid-argument'],
    ['I13: very many files', many, gzipSync(many), { maxEntries: 1_000 }, 'resource-exhausted'],
    ['I15: another layer than the image says', many, gzipSync(bomb), {}, 'data-loss'],
  ])('%s is refused, nothing of it stays, and others go on', async (_name, tar, blob, room, reason) => {
    await using fixture = await Fixture.create();
    fixture.room = room;
    const hostile = fixture.publishTar(tar, blob);
    const failed: unknown = await fixture.store.acquire([hostile], signal).catch((error: unknown) => error);
    expect(reasonOf(failed), String(failed)).toBe(reason);
    expect(await readdir(join(fixture.folder, 'layers'))).toEqual([]);
    const lease = await fixture.store.acquire([await fixture.publish('f', 'fine')], signal);
    lease.release();
  });

  test('I12: members of gzip one after the other are one stream, with something behind them none', async () => {
    await using fixture = await Fixture.create();
    const tar = buildTar([file('f', 'whole')]);
    const blob = Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))]);
    const more = fixture.publishTar(tar, Buffer.concat([blob, Buffer.from('garbage')]));
    await expect(fixture.store.acquire([more], signal)).rejects.toMatchObject({ reason: 'invalid-argument' });
    const { directories } = await fixture.store.acquire([fixture.publishTar(tar, blob)], signal);
    expect(await readFile(join(directories[0] ?? '', 'f'), 'utf8')).toBe('whole');
  });

  test.each(Array.from({ length: 20 }, (_, part) => part * 5))(
    'I21: unpacking killed at %i %%: nothing is visible, the next one works',
    async (percent) => {
      await using fixture = await Fixture.create();
      const layer = fixture.publishTar(
        buildTar(Array.from({ length: 20 }, (_, index) => file(`f${index}`, randomBytes(50_000).toString('hex')))),
      );
      let killed = 0;
      fixture.onRead = (share) => {
        if (killed === 0 && share * 100 >= percent) killed = killUnpackers(fixture.folder);
      };
      const outcome: unknown = await fixture.store.acquire([layer], signal).catch((error: unknown) => error);
      if (killed > 0) {
        expect(outcome).toBeInstanceOf(Error);
        expect(await readdir(join(fixture.folder, 'layers'))).toEqual([]);
      }
      fixture.onRead = () => undefined;
      const { directories } = await fixture.store.acquire([layer], signal);
      expect(await readdir(directories[0] ?? '')).toHaveLength(20);
      // At the very beginning it may not run yet.
      if (percent > 20) expect(killed).toBe(1);
    },
  );
});

/** kill -9 of what unpacks into a folder. */
function killUnpackers(folder: string): number {
  const lines = execFileSync('ps', ['--ppid', String(process.pid), '-o', 'pid,args', '--no-headers'], {
    encoding: 'utf8',
  }).split('\n');
  const found = lines.filter((line) => line.includes('layer-apply') && line.includes(folder));
  for (const line of found) process.kill(Number(line.trim().split(' ')[0]), 'SIGKILL');
  return found.length;
}

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

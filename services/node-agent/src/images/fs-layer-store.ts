import { rename, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { dataLoss, internal } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import type { containerV1 } from '@atoll/proto';
import { parseDigest } from '@atoll/reference';
import { failpoint } from '../processes/failpoint.ts';
import { runTool } from '../processes/run-tool.ts';
import { Semaphore } from '../processes/semaphore.ts';
import type { BlobReader } from './blob-store.ts';
import { decompressed } from './decompress.ts';
import { Counted, Hashed } from './hashed.ts';
import type { LayerDirectory } from './layer-directory.ts';
import type { LayerLease, LayerStore } from './layer-store.ts';

/** Turns a tar stream into files below a folder, in overlay form, written out to disk. Runs outside this process. */
export interface LayerUnpacker {
  /** Gives the digest of the stream. */
  unpack(tar: AsyncIterable<Uint8Array>, directory: string, signal: AbortSignal): Promise<string>;
}

export interface LayerStoreOptions {
  readonly directory: LayerDirectory;
  readonly root: string;
  readonly blobs: BlobReader;
  readonly unpacker: LayerUnpacker;
  readonly keepMs: number;
  readonly diskPercent: number;
  readonly logger: Logger;
}

const PARALLEL_FETCHES = 3;

/** Layers in folders of this host. Fetches of the same layer are one; each goes on as long as anybody waits for it. */
export class FsLayerStore implements LayerStore {
  readonly #options: LayerStoreOptions;
  readonly #fetches = new Map<string, Fetch>();
  readonly #leases = new Map<string, number>();
  readonly #slots = new Semaphore(PARALLEL_FETCHES);
  #collecting: Promise<readonly string[]> | undefined;

  constructor(options: LayerStoreOptions) {
    this.#options = options;
  }

  async acquire(layers: readonly containerV1.Layer[], signal: AbortSignal): Promise<LayerLease> {
    // Leased before looked at: the collector passes leased layers over.
    const lease = this.retain(layers);
    try {
      await this.#collecting;
      await Promise.all(layers.map((layer) => this.#ensure(layer, signal)));
      return lease;
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  retain(layers: readonly containerV1.Layer[]): LayerLease {
    // A layer that occurs twice counts where it is highest: overlayfs refuses the same folder twice.
    const directories = [...new Set(layers.map(({ diffId }) => this.#options.directory.fs(diffId)).reverse())];
    let held = true;
    for (const { diffId } of layers) this.#count(diffId, +1);
    const release = (): void => {
      if (!held) return;
      held = false;
      for (const { diffId } of layers) this.#count(diffId, -1);
    };
    return { directories, release };
  }

  async adopt(source: string, diffId: string, size: number): Promise<void> {
    const { directory } = this.#options;
    const path = await directory.prepare();
    await rm(join(path, 'fs'), { recursive: true });
    await rename(source, join(path, 'fs'));
    if (await directory.commit(path, diffId, size)) this.#writeOut(diffId);
  }

  async usage(): Promise<number> {
    const layers = await this.#options.directory.list();
    return layers.reduce((sum, { size }) => sum + size, 0);
  }

  collect(): Promise<readonly string[]> {
    this.#collecting ??= this.#collect().finally(() => {
      this.#collecting = undefined;
    });
    return this.#collecting;
  }

  async #collect(): Promise<readonly string[]> {
    const { directory, keepMs, logger } = this.#options;
    const layers = [...(await directory.list())].sort((a, b) => a.usedAtMs - b.usedAtMs);
    const removed: string[] = [];
    for (const { diffId, usedAtMs } of layers) {
      if (this.#leases.has(diffId) || this.#fetches.has(diffId)) continue;
      if (Date.now() - usedAtMs < keepMs && !(await this.#diskIsFull())) continue;
      await directory.remove(diffId);
      removed.push(diffId);
    }
    if (removed.length > 0) logger.info({ layers: removed.length }, 'unused layers removed');
    return removed;
  }

  async #diskIsFull(): Promise<boolean> {
    const { blocks, bavail } = await statfs(this.#options.root);
    return (1 - bavail / blocks) * 100 > this.#options.diskPercent;
  }

  #count(diffId: string, change: number): void {
    const count = (this.#leases.get(diffId) ?? 0) + change;
    if (count > 0) {
      this.#leases.set(diffId, count);
      return;
    }
    this.#leases.delete(diffId);
    void this.#options.directory.touch(diffId).catch(() => undefined);
  }

  async #ensure(layer: containerV1.Layer, signal: AbortSignal): Promise<void> {
    if (this.#options.directory.has(layer.diffId)) return;
    let fetch = this.#fetches.get(layer.diffId);
    if (!fetch || fetch.abandoned) {
      const started = new Fetch((own) => this.#slots.run(() => this.#fetch(layer, own)));
      fetch = started;
      this.#fetches.set(layer.diffId, started);
      const forget = (): void => {
        if (this.#fetches.get(layer.diffId) === started) this.#fetches.delete(layer.diffId);
      };
      started.done.then(forget, forget);
    }
    await fetch.wait(signal);
  }

  async #fetch(layer: containerV1.Layer, signal: AbortSignal): Promise<void> {
    const { directory, blobs, unpacker, logger } = this.#options;
    signal.throwIfAborted();
    if (directory.has(layer.diffId)) return;
    const path = await directory.prepare();
    try {
      const blob = new Hashed(blobs.read(parseDigest(layer.digest), signal));
      const tar = new Counted(decompressed(blob));
      const diffId = await unpacker.unpack(tar, join(path, 'fs'), signal);
      failpoint('pull.1-unpacked');
      blob.verify(layer.digest, `the layer blob ${layer.digest}`);
      if (diffId !== layer.diffId) {
        throw dataLoss(
          `layer ${layer.digest} unpacks to ${diffId}, its image says ${layer.diffId}: the image is damaged`,
        );
      }
      await directory.commit(path, layer.diffId, tar.size);
      failpoint('pull.2-committed');
      await directory.markSynced(layer.diffId);
      logger.debug({ layer: layer.diffId, bytes: tar.size }, 'layer fetched');
    } catch (error) {
      await directory.discard(path);
      throw error;
    }
  }

  /** Written out in the background: nobody waits for it, a layer that was not is fetched again after a power cut. */
  #writeOut(diffId: string): void {
    const { directory, logger } = this.#options;
    runTool('sync', ['-f', directory.fs(diffId)], { timeoutMs: 600_000 })
      .then(() => directory.markSynced(diffId))
      .catch((error: unknown) => logger.debug({ layer: diffId, err: error }, 'layer not written out'));
  }
}

/** One fetch many wait for; abandoned when the last of them has gone. */
class Fetch {
  readonly done: Promise<void>;
  readonly #own = new AbortController();
  #waiting = 0;

  constructor(work: (signal: AbortSignal) => Promise<void>) {
    this.done = work(this.#own.signal);
  }

  get abandoned(): boolean {
    return this.#own.signal.aborted;
  }

  async wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#waiting++;
    let leave: (() => void) | undefined;
    try {
      const left = new Promise<never>((_, reject) => {
        leave = () => reject(signal.reason ?? internal('the wait was given up'));
        signal.addEventListener('abort', leave, { once: true });
      });
      await Promise.race([this.done, left]);
    } finally {
      if (leave) signal.removeEventListener('abort', leave);
      if (--this.#waiting === 0) this.#own.abort(new DOMException('nobody waits for this layer', 'AbortError'));
    }
  }
}

import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { invalidArgument } from '@atoll/errors';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { unlessMissing } from '../files/missing.ts';

export interface LayerRecord {
  readonly diffId: string;
  /** Bytes of the uncompressed tar. */
  readonly size: number;
  /** The boot in which the layer was written. */
  readonly bootId: string;
}

const DIFF_ID = /^sha256:([0-9a-f]{64})$/;
const TOUCH_MS = 60_000;
const TEMPORARY = '.new-';

/**
 * `<root>/<diff id hex>/{fs,layer.json}`. A layer of an earlier boot counts only with the file `synced`: after a power cut the
 * names may be there and the bytes not.
 */
export class LayerDirectory {
  readonly #root: string;
  readonly #bootId: string;
  /** When a layer's use was last written, unix ms. */
  readonly #touched = new Map<string, number>();

  private constructor(root: string, bootId: string) {
    this.#root = root;
    this.#bootId = bootId;
  }

  /** Opens the folder and removes what is half made. */
  static async open(root: string): Promise<LayerDirectory> {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const directory = new LayerDirectory(root, bootId);
    for (const name of await readdir(root)) {
      const diffId = `sha256:${name}`;
      if (DIFF_ID.test(diffId) && (await directory.#sound(diffId))) continue;
      await rm(join(root, name), { recursive: true, force: true });
    }
    return directory;
  }

  /** Throws invalid-argument for what is no SHA-256: the name becomes a path. */
  path(diffId: string): string {
    const hex = DIFF_ID.exec(diffId)?.[1];
    if (hex === undefined) throw invalidArgument(`"${diffId}" is not the diff id of a layer`);
    return join(this.#root, hex);
  }

  fs(diffId: string): string {
    return join(this.path(diffId), 'fs');
  }

  /** Asked for each layer of each start: a thread of the pool would take twenty times as long as the look itself. */
  has(diffId: string): boolean {
    return statSync(join(this.path(diffId), 'layer.json'), { throwIfNoEntry: false }) !== undefined;
  }

  /** A folder to fill; `commit` makes it a layer, `discard` removes it. */
  async prepare(): Promise<string> {
    const path = join(this.#root, `${TEMPORARY}${randomBytes(8).toString('hex')}`);
    await mkdir(join(path, 'fs'), { recursive: true, mode: 0o755 });
    return path;
  }

  async discard(path: string): Promise<void> {
    await rm(path, { recursive: true, force: true });
  }

  /** False when the layer was there already; the folder is then discarded. */
  async commit(path: string, diffId: string, size: number): Promise<boolean> {
    const record: LayerRecord = { diffId, size, bootId: this.#bootId };
    await writeFileAtomic(join(path, 'layer.json'), JSON.stringify(record), { durable: false });
    try {
      await rename(path, this.path(diffId));
      return true;
    } catch (error) {
      if (!this.has(diffId)) throw error;
      await this.discard(path);
      return false;
    }
  }

  /** The layer survives a power cut from now on; the caller has written its files out. */
  async markSynced(diffId: string): Promise<void> {
    await writeFileAtomic(join(this.path(diffId), 'synced'), '', { durable: true });
  }

  async list(): Promise<ReadonlyArray<LayerRecord & { readonly usedAtMs: number }>> {
    const names = (await readdir(this.#root)).filter((name) => DIFF_ID.test(`sha256:${name}`));
    const found = await Promise.all(
      names.map(async (name) => {
        const path = join(this.#root, name, 'layer.json');
        const text = await unlessMissing(readFile(path, 'utf8'));
        const times = await unlessMissing(stat(path));
        if (text === undefined || times === undefined) return [];
        return [{ ...(JSON.parse(text) as LayerRecord), usedAtMs: times.mtimeMs }];
      }),
    );
    return found.flat();
  }

  /** Notes the time of use, for the collector; within a minute of the last time it is not written. */
  async touch(diffId: string): Promise<void> {
    const now = new Date();
    if (now.getTime() - (this.#touched.get(diffId) ?? 0) < TOUCH_MS) return;
    this.#touched.set(diffId, now.getTime());
    await unlessMissing(utimes(join(this.path(diffId), 'layer.json'), now, now));
  }

  async remove(diffId: string): Promise<void> {
    this.#touched.delete(diffId);
    const doomed = join(this.#root, `${TEMPORARY}${randomBytes(8).toString('hex')}`);
    // Gone as a whole first: a half-deleted layer must never be taken for one.
    await rename(this.path(diffId), doomed);
    await rm(doomed, { recursive: true, force: true });
  }

  async #sound(diffId: string): Promise<boolean> {
    const text = await unlessMissing(readFile(join(this.path(diffId), 'layer.json'), 'utf8'));
    if (text === undefined) return false;
    try {
      const record = JSON.parse(text) as LayerRecord;
      if (record.diffId !== diffId) return false;
      return (
        record.bootId === this.#bootId || (await unlessMissing(stat(join(this.path(diffId), 'synced')))) !== undefined
      );
    } catch {
      return false;
    }
  }
}

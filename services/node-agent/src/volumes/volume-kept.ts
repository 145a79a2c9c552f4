import { mkdir, opendir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { unlessMissing } from '../files/missing.ts';
import { KeyedQueue } from '../processes/keyed-queue.ts';

/** From the last try on. */
const KEEP_MS = 24 * 3_600_000;
const EXPIRE_EVERY_MS = 3_600_000;
/** About 400 MB of memory at the source, and as much to send; files beyond that are copied again. */
const MAX_NOTES = 4_000_000;
const BATCH_BYTES = 64 * 1024;

/**
 * What was received of volumes that another host sends, for the next copy to begin with: by volume a folder of files whose names are
 * notes of the source (`volume-notes.h` of the shim). Only what was verified is in it. It goes when the volume is in place or is given
 * up, a day after the last try, and when the host starts anew, for nobody has synced it.
 */
export class VolumeKept {
  readonly #root: string;
  readonly #turns = new KeyedQueue();
  readonly #busy = new Set<string>();

  private constructor(root: string) {
    this.#root = root;
  }

  /** `bootId`: another one at each start of the host. */
  static async open(root: string, bootId?: string): Promise<VolumeKept> {
    const boot = bootId ?? (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    await mkdir(join(root, boot), { recursive: true, mode: 0o700 });
    // It may be much, and nobody waits for it.
    for (const name of await readdir(root))
      if (name !== boot) void rm(join(root, name), { recursive: true, force: true }).catch(() => undefined);
    const kept = new VolumeKept(join(root, boot));
    await kept.expire(Date.now());
    setInterval(() => void kept.expire(Date.now()).catch(() => undefined), EXPIRE_EVERY_MS).unref();
    return kept;
  }

  /** One copy of a volume after the other: the folder is the task's alone. */
  async during<T>(volume: string, task: (folder: string) => Promise<T>): Promise<T> {
    return await this.#turns.run(volume, async () => {
      const folder = join(this.#root, volume);
      this.#busy.add(volume);
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        const now = new Date();
        await utimes(folder, now, now);
        return await task(folder);
      } finally {
        this.#busy.delete(volume);
      }
    });
  }

  /** The notes of a folder, as lines. */
  async *notes(folder: string): AsyncGenerator<Buffer> {
    let lines: string[] = [];
    let size = 0;
    let count = 0;
    for await (const { name } of await opendir(folder)) {
      if (name.endsWith('.new')) continue;
      if (++count > MAX_NOTES) break;
      lines.push(`${name}\n`);
      size += name.length + 1;
      if (size < BATCH_BYTES) continue;
      yield Buffer.from(lines.join(''));
      lines = [];
      size = 0;
    }
    if (lines.length > 0) yield Buffer.from(lines.join(''));
  }

  /** Moves a folder elsewhere, whole: nothing is kept from then on. */
  async handOver(folder: string, to: string): Promise<void> {
    await rename(folder, to);
  }

  async forget(volume: string): Promise<void> {
    await this.during(volume, (folder) => rm(folder, { recursive: true, force: true }));
  }

  /** Drops what no copy was made from for a day. */
  async expire(now: number): Promise<void> {
    for (const volume of await readdir(this.#root)) {
      const found = await unlessMissing(stat(join(this.#root, volume)));
      if (!found || this.#busy.has(volume) || now - found.mtimeMs < KEEP_MS) continue;
      await this.forget(volume);
    }
  }
}

import { appendFile, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { SerialQueue } from '../processes/serial-queue.ts';

/** Temporary files have other names. */
const NAME = /^[0-9a-z]{1,64}$/;
/** A file is written anew when its changes are longer than this and than what it began with. */
const LEAST_BYTES = 64 * 1024;

/** What is told as a whole, then as changes. */
interface Told {
  readonly complete: boolean;
}

interface Codec<S> {
  encode(state: S): { finish(): Uint8Array };
  decode(bytes: Uint8Array): S;
}

/**
 * What the scheduler has told, one file for each subject: a whole state, then the changes, each as `[u32 length][message]`.
 * Not synced: after a power cut the scheduler tells it again.
 */
export class StateJournal<S extends Told> {
  readonly #folder: string;
  readonly #codec: Codec<S>;
  readonly #queue = new SerialQueue();
  readonly #sizes = new Map<string, { whole: number; changes: number }>();

  private constructor(folder: string, codec: Codec<S>) {
    this.#folder = folder;
    this.#codec = codec;
  }

  static async open<S extends Told>(folder: string, codec: Codec<S>): Promise<StateJournal<S>> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new StateJournal(folder, codec);
  }

  /** The states in the order they were told, subject by subject. A torn end is left out. */
  async load(): Promise<readonly S[]> {
    const names = (await readdir(this.#folder)).filter((name) => NAME.test(name));
    const files = await Promise.all(names.map((name) => readFile(join(this.#folder, name))));
    return files.flatMap((file) => statesIn(file, this.#codec));
  }

  /** `whole` gives the complete state, asked for when the file is to be written anew. */
  add(id: string, state: S, whole: () => S): Promise<void> {
    return this.#queue.run(async () => {
      const size = this.#sizes.get(id);
      const bytes = this.#framed(state);
      if (size && !state.complete && size.changes + bytes.length <= Math.max(LEAST_BYTES, size.whole)) {
        size.changes += bytes.length;
        await appendFile(join(this.#folder, id), bytes);
        return;
      }
      this.#sizes.delete(id);
      const all = this.#framed(whole());
      await writeFileAtomic(join(this.#folder, id), all, { durable: false });
      this.#sizes.set(id, { whole: all.length, changes: 0 });
    });
  }

  forget(id: string): Promise<void> {
    return this.#queue.run(async () => {
      this.#sizes.delete(id);
      await rm(join(this.#folder, id), { force: true });
    });
  }

  /** Resolves when all that was told before is written. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  #framed(state: S): Buffer {
    const message = this.#codec.encode(state).finish();
    const head = Buffer.alloc(4);
    head.writeUInt32LE(message.length);
    return Buffer.concat([head, message]);
  }
}

function statesIn<S>(file: Buffer, codec: Codec<S>): readonly S[] {
  const states: S[] = [];
  for (let at = 0; at + 4 <= file.length; ) {
    const end = at + 4 + file.readUInt32LE(at);
    if (end > file.length) break;
    try {
      states.push(codec.decode(file.subarray(at + 4, end)));
    } catch {
      break; // half a message after a power cut
    }
    at = end;
  }
  return states;
}

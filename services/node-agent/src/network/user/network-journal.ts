import { appendFile, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { networkV1 } from '@atoll/proto';
import { writeFileAtomic } from '../../files/atomic-file.ts';
import { SerialQueue } from '../../processes/serial-queue.ts';

const ID = /^[0-9a-f]{64}$/;
/** A file is written anew when its changes are longer than this and than what it began with. */
const LEAST_BYTES = 64 * 1024;

/**
 * What the scheduler has told of the networks, one file for each: a whole state, then the changes, each as `[u32 length][message]`.
 * Not synced: after a power cut the scheduler tells it again.
 */
export class NetworkJournal {
  readonly #folder: string;
  readonly #queue = new SerialQueue();
  readonly #sizes = new Map<string, { whole: number; changes: number }>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(folder: string): Promise<NetworkJournal> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new NetworkJournal(folder);
  }

  /** The states in the order they were told, network by network. A torn end is left out. */
  async load(): Promise<readonly networkV1.NetworkState[]> {
    const ids = (await readdir(this.#folder)).filter((name) => ID.test(name));
    const files = await Promise.all(ids.map((id) => readFile(join(this.#folder, id))));
    return files.flatMap(statesIn);
  }

  /** `whole` gives the complete state, asked for when the file is to be written anew. */
  add(id: string, state: networkV1.NetworkState, whole: () => networkV1.NetworkState): Promise<void> {
    return this.#queue.run(async () => {
      const size = this.#sizes.get(id);
      const bytes = framed(state);
      if (size && !state.complete && size.changes + bytes.length <= Math.max(LEAST_BYTES, size.whole)) {
        size.changes += bytes.length;
        await appendFile(join(this.#folder, id), bytes);
        return;
      }
      this.#sizes.delete(id);
      const all = framed(whole());
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
}

function framed(state: networkV1.NetworkState): Buffer {
  const message = networkV1.NetworkState.encode(state).finish();
  const head = Buffer.alloc(4);
  head.writeUInt32LE(message.length);
  return Buffer.concat([head, message]);
}

function statesIn(file: Buffer): readonly networkV1.NetworkState[] {
  const states: networkV1.NetworkState[] = [];
  for (let at = 0; at + 4 <= file.length; ) {
    const end = at + 4 + file.readUInt32LE(at);
    if (end > file.length) break;
    try {
      states.push(networkV1.NetworkState.decode(file.subarray(at + 4, end)));
    } catch {
      break; // half a message after a power cut
    }
    at = end;
  }
  return states;
}

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../files/atomic-file.ts';

/**
 * What is kept of an exec: what inspect answers. Its environment, which may hold secrets, is not. An entry without `endedAtMs`
 * was running.
 */
const ENTRY = z.object({
  id: z.string().regex(/^[0-9a-f]{64}$/),
  argv: z.array(z.string()),
  user: z.string(),
  tty: z.boolean(),
  privileged: z.boolean(),
  attachStdin: z.boolean(),
  attachStdout: z.boolean(),
  attachStderr: z.boolean(),
  detachKeys: z.string(),
  pid: z.int(),
  startTicks: z.string(),
  endedAtMs: z.number().optional(),
  exitCode: z.int().optional(),
});
export type JournalEntry = z.output<typeof ENTRY>;

/** The newest are kept. */
const ENTRIES = 128;
const ARGV_BYTES = 4_096;
/** A short exec is over by then and costs one write, not two. */
const DELAY_MS = 50;

export interface ExecJournalOptions {
  /** The folder of a container. */
  readonly directory: (containerId: string) => string;
  /** The execs of a container that were started, oldest first. */
  readonly entries: (containerId: string) => readonly JournalEntry[];
}

/**
 * A small file in each container's folder with its execs, so that an agent that starts again can answer for them. Written in the
 * background, a moment after a change: an exec that ended just before a kill -9 may still be written down as running.
 */
export class ExecJournal {
  readonly #options: ExecJournalOptions;
  readonly #due = new Map<string, NodeJS.Timeout>();

  constructor(options: ExecJournalOptions) {
    this.#options = options;
  }

  changed(containerId: string): void {
    if (this.#due.has(containerId)) return;
    this.#due.set(
      containerId,
      setTimeout(() => void this.#write(containerId), DELAY_MS),
    );
  }

  /** The container is gone, and its folder. */
  forget(containerId: string): void {
    clearTimeout(this.#due.get(containerId));
    this.#due.delete(containerId);
  }

  /** Writes what is due. */
  async flush(): Promise<void> {
    await Promise.all([...this.#due.keys()].map((containerId) => this.#write(containerId)));
  }

  /** What an earlier run of the agent has written; nothing when it cannot be read. */
  async read(containerId: string): Promise<readonly JournalEntry[]> {
    try {
      return z.array(ENTRY).parse(JSON.parse(await readFile(this.#path(containerId), 'utf8')));
    } catch {
      return []; // none was written, or it is half a file after a power cut, which no exec survives
    }
  }

  async #write(containerId: string): Promise<void> {
    this.forget(containerId);
    const entries = this.#options.entries(containerId).slice(-ENTRIES).map(shortened);
    // A container without its file answers less after a restart; it must not fail for that, nor when it is just removed.
    await writeFileAtomic(this.#path(containerId), JSON.stringify(entries), { durable: false }).catch(() => undefined);
  }

  #path(containerId: string): string {
    return join(this.#options.directory(containerId), 'execs');
  }
}

function shortened(entry: JournalEntry): JournalEntry {
  let room = ARGV_BYTES;
  const argv = entry.argv.filter((word) => {
    room -= Buffer.byteLength(word);
    return room >= 0;
  });
  return { ...entry, argv };
}

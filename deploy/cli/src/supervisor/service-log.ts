import { closeSync, openSync } from 'node:fs';
import { mkdir, open, rename, stat, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A log is cut to nothing beyond this size while its service runs; the one before the last start is kept beside it. */
const LIMIT = 16 << 20;

/** Log file of one service: the service writes to it by itself, so that it can outlive the supervisor. */
export class ServiceLog {
  readonly path: string;
  /** Where the part of the current process begins: what earlier ones wrote says nothing about it. */
  #start = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** Runs `use` with a descriptor to append to. */
  async withDescriptor<T>(use: (fd: number) => Promise<T>): Promise<T> {
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    if ((await this.#size()) > LIMIT / 4) await rename(this.path, `${this.path}.1`);
    this.#start = await this.#size();
    const fd = openSync(this.path, 'a', 0o600);
    try {
      return await use(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** Called now and then. Appending writers go on at the new end. */
  async limit(): Promise<void> {
    if ((await this.#size()) > LIMIT) await truncate(this.path, 0);
  }

  /** Why the service ended: the last error it logged, else its last line. */
  async lastWords(): Promise<string> {
    const lines = (await this.#tail()).split('\n').filter(Boolean);
    for (const line of lines.toReversed()) {
      const entry = parse(line);
      if (entry && (entry.level ?? 0) >= 50) return [entry.msg, entry.err?.message].filter(Boolean).join(': ');
    }
    // A crash of Node itself ends with its version; the error stands above the trace.
    const words = lines.findLast((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1);
    return words?.slice(0, 500) ?? 'it wrote nothing to its log';
  }

  async #tail(): Promise<string> {
    const file = await open(this.path, 'r').catch(() => undefined);
    if (!file) return '';
    try {
      const { size } = await file.stat();
      // A log that was cut meanwhile begins anew.
      const length = Math.min(size - (this.#start > size ? 0 : this.#start), 65_536);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  }

  async #size(): Promise<number> {
    return stat(this.path).then((found) => found.size, () => 0); // biome-ignore format: short
  }
}

interface LogEntry {
  readonly level?: number;
  readonly msg?: string;
  readonly err?: { readonly message?: string };
}

function parse(line: string): LogEntry | undefined {
  try {
    return JSON.parse(line) as LogEntry;
  } catch {
    return undefined;
  }
}

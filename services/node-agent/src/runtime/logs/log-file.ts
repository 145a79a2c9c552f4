import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type LogRecord, MAX_LOG_RECORD_BYTES, parseRecord } from './log-record.ts';

const READ_BYTES = 4 * MAX_LOG_RECORD_BYTES;

/** Numbers of the log's files, oldest first; empty when there is no log. */
export async function listLogFiles(directory: string): Promise<number[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names
    .filter((name) => /^[1-9][0-9]*$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** Unix time in milliseconds of the last write to a file of the log; undefined when it is gone. */
export async function lastWrite(directory: string, number: number): Promise<number | undefined> {
  return (await stat(join(directory, String(number))).catch(() => undefined))?.mtimeMs;
}

/** One open file of the log, read forwards, 256 KiB at a time. */
export class LogFile implements AsyncDisposable {
  readonly number: number;
  readonly #handle: FileHandle;
  readonly #buffer = Buffer.allocUnsafe(READ_BYTES);
  #offset: number;

  private constructor(number: number, handle: FileHandle, offset: number) {
    this.number = number;
    this.#handle = handle;
    this.#offset = offset;
  }

  /** Undefined when the file was rotated away. */
  static async open(directory: string, number: number, offset = 0): Promise<LogFile | undefined> {
    const handle = await open(join(directory, String(number)), 'r').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    return handle === undefined ? undefined : new LogFile(number, handle, offset);
  }

  get handle(): FileHandle {
    return this.#handle;
  }

  /** Records up to the present end, each time those of one read; may be called again once the file has grown. Stops at torn bytes. */
  async *records(): AsyncGenerator<readonly LogRecord[]> {
    for (;;) {
      const { bytesRead } = await this.#handle.read(this.#buffer, 0, READ_BYTES, this.#offset);
      const read = this.#buffer.subarray(0, bytesRead);
      const records: LogRecord[] = [];
      let at = 0;
      let parsed = parseRecord(read, at);
      for (; typeof parsed !== 'string'; parsed = parseRecord(read, at)) {
        records.push(parsed.record);
        at = parsed.next;
      }
      this.#offset += at;
      if (records.length > 0) yield records;
      if (parsed === 'torn' || at === 0) return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

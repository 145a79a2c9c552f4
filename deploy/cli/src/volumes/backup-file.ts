import { createReadStream } from 'node:fs';
import { type FileHandle, link, open, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { alreadyExists, failedPrecondition, notFound } from '@atoll/errors';

/** Passes bytes on and tells how many there were. */
export class Counter extends Transform {
  bytes = 0;
  readonly #tell: (bytes: number) => void;

  constructor(tell: (bytes: number) => void) {
    super();
    this.#tell = tell;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: (error: null, chunk: Buffer) => void): void {
    this.count(chunk.length);
    done(null, chunk);
  }

  count(bytes: number): void {
    this.bytes += bytes;
    this.#tell(this.bytes);
  }
}

/** Gives a backup's bytes; `restart` takes back those given so far, if it is there. */
export type BackupSource = (restart: (() => Promise<void>) | undefined) => AsyncIterable<Buffer>;

/**
 * Writes a backup: to standard output (`-`), or to a new file that appears under its name only once it is whole and on disk. Errors:
 * already-exists.
 */
export async function saveBackup(
  path: string,
  sourceOf: BackupSource,
  counter: Counter,
  signal: AbortSignal,
): Promise<void> {
  if (path === '-') return await pipeline(sourceOf(undefined), counter, process.stdout, { signal, end: false });
  const final = resolve(path);
  const part = `${final}.part-${process.pid}`;
  const file = await open(part, 'wx', 0o600).catch((cause: unknown) => {
    throw failedPrecondition(`${part} cannot be written: ${(cause as Error).message}`, { cause });
  });
  try {
    // Nothing is on its way to the file then: each piece is written before the next one is asked for.
    const source = sourceOf(async () => {
      await file.truncate(0);
      position = 0;
      counter.bytes = 0;
    });
    let position = 0;
    for await (const chunk of source) {
      signal.throwIfAborted();
      for (let at = 0; at < chunk.length; ) {
        const { bytesWritten } = await file.write(chunk, at, chunk.length - at, position);
        at += bytesWritten;
        position += bytesWritten;
      }
      counter.count(chunk.length);
    }
    await file.sync();
    await link(part, final).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'EEXIST') throw alreadyExists(`${path} is there already: choose another name`, { cause });
      throw cause;
    });
    const folder = await open(dirname(final), 'r');
    await folder.sync().finally(() => folder.close());
  } finally {
    await file.close();
    await rm(part, { force: true });
  }
}

/** A backup that is there. */
export interface OpenedBackup {
  /** It can be read from any of its bytes, and again. */
  readonly isFile: boolean;
  /** Its bytes from there on. */
  readonly from: (offset: number) => Promise<Readable>;
}

/** A backup, from standard input for `-`. Errors: not-found. */
export async function openBackup(path: string): Promise<OpenedBackup> {
  if (path === '-') return { isFile: false, from: async () => process.stdin };
  const opened = async (): Promise<FileHandle> =>
    await open(path, 'r').catch((cause: unknown) => {
      throw notFound(`backup ${path} cannot be read: ${(cause as Error).message}`, { cause });
    });
  const first = await opened();
  const isFile = (await first.stat()).isFile();
  let unused: FileHandle | undefined = first;
  return {
    isFile,
    from: async (offset) => {
      const file = unused ?? (await opened());
      unused = undefined;
      return createReadStream('', { fd: file, highWaterMark: 256 * 1024, ...(isFile && { start: offset }) });
    },
  };
}

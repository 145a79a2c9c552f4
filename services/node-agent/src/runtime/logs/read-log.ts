import { DirectoryChange } from './directory-change.ts';
import { LineSplitter, type LogLine } from './line-splitter.ts';
import { LogFile, lastWrite, listLogFiles } from './log-file.ts';
import type { LogRecord } from './log-record.ts';
import { findTail, type TailPosition } from './log-tail.ts';

export interface ReadLogOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Only the last so many lines; undefined means all. */
  readonly tail?: number | undefined;
  /** Unix nanoseconds, inclusive. */
  readonly since?: bigint | undefined;
  readonly until?: bigint | undefined;
  /** Go on with new lines until `ended` is aborted and the rest is read, or `signal` is. */
  readonly follow: boolean;
  /** Aborted by the caller once the container has exited: no more output will come. */
  readonly ended?: AbortSignal | undefined;
  readonly signal: AbortSignal;
}

/**
 * Lines of a container's log over all its files, oldest first. Memory is bounded by one record and one
 * line for each stream. A reader slower than the rotation misses the files that were dropped.
 */
export async function* readLog(directory: string, options: ReadLogOptions): AsyncGenerator<LogLine> {
  const { since, until } = options;
  const tail = options.tail === undefined ? undefined : await findTail(directory, options.tail);
  let skip = tail?.skipLines ?? 0;
  const splitter = new LineSplitter();
  const wanted = (line: LogLine): boolean => {
    if (skip > 0) {
      skip -= 1;
      return false;
    }
    return (line.stream === 'stdout' ? options.stdout : options.stderr) && (since === undefined || line.time >= since);
  };
  for await (const record of readRecords(directory, tail, options)) {
    if (until !== undefined && record.time > until) break;
    for (const line of splitter.push(record)) if (wanted(line)) yield line;
  }
  for (const line of splitter.flush()) if (wanted(line)) yield line;
}

async function* readRecords(
  directory: string,
  tail: TailPosition | undefined,
  options: ReadLogOptions,
): AsyncGenerator<LogRecord> {
  using change = new DirectoryChange(directory);
  let next = tail?.file ?? 0;
  let offset = tail?.offset ?? 0;
  for (;;) {
    options.signal.throwIfAborted();
    const number = (await listLogFiles(directory)).find((candidate) => candidate >= next);
    if (number === undefined) {
      if (!options.follow || options.ended?.aborted) return;
      await change.wait(options.signal, options.ended);
      continue;
    }
    const isOld = await isBefore(directory, number, options.since);
    next = number + 1;
    const newer = (): Promise<boolean> => hasNewer(directory, number);
    if (isOld && (await newer())) continue;
    await using file = await LogFile.open(directory, number, number === tail?.file ? offset : 0);
    offset = 0;
    if (file === undefined) continue;
    for (;;) {
      // Asked before reading: output written until then is in the file.
      const isLast = !options.follow || options.ended?.aborted === true || (await newer());
      yield* file.records();
      options.signal.throwIfAborted();
      if (isLast) break;
      await change.wait(options.signal, options.ended);
    }
  }
}

async function hasNewer(directory: string, number: number): Promise<boolean> {
  return ((await listLogFiles(directory)).at(-1) ?? 0) > number;
}

async function isBefore(directory: string, number: number, since: bigint | undefined): Promise<boolean> {
  if (since === undefined) return false;
  const written = await lastWrite(directory, number);
  return written !== undefined && BigInt(Math.ceil(written)) * 1_000_000n < since;
}

import { DirectoryChange } from './directory-change.ts';
import { LineJoiner, withoutLines } from './line-joiner.ts';
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
 * What a container has written, over all files of its log, oldest first, in whole lines; what was read at once comes at once. Memory is
 * bounded by one read and one line for each stream. A reader slower than the rotation misses the files that were dropped.
 */
export async function* readLog(directory: string, options: ReadLogOptions): AsyncGenerator<readonly LogRecord[]> {
  const { since, until } = options;
  const tail = options.tail === undefined ? undefined : await findTail(directory, options.tail);
  let skip = tail?.skipLines ?? 0;
  const joiner = new LineJoiner();
  const wanted = (records: readonly LogRecord[]): LogRecord[] => {
    const kept: LogRecord[] = [];
    for (const record of records) {
      const { data, skipped } = skip > 0 ? withoutLines(record.data, skip) : { data: record.data, skipped: 0 };
      skip -= skipped;
      const isAsked = record.stream === 'stdout' ? options.stdout : options.stderr;
      if (isAsked && data.length > 0 && (since === undefined || record.time >= since)) kept.push({ ...record, data });
    }
    return kept;
  };
  let isOver = false;
  for await (const records of readRecords(directory, tail, options)) {
    isOver = until !== undefined && records.some(({ time }) => time > until);
    const timely = isOver ? records.filter(({ time }) => until === undefined || time <= until) : records;
    const lines = wanted(timely.flatMap((record) => joiner.push(record)));
    if (lines.length > 0) yield lines;
    if (isOver) break;
  }
  const rest = wanted(joiner.flush());
  if (rest.length > 0) yield rest;
}

async function* readRecords(
  directory: string,
  tail: TailPosition | undefined,
  options: ReadLogOptions,
): AsyncGenerator<readonly LogRecord[]> {
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

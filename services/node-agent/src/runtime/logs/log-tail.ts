import { LogFile, listLogFiles } from './log-file.ts';
import { LOG_HEADER_BYTES, LOG_TRAILER_BYTES, MAX_LOG_RECORD_BYTES } from './log-record.ts';

export interface TailPosition {
  readonly file: number;
  readonly offset: number;
  /** Lines from there that still come before the wanted ones. */
  readonly skipLines: number;
}

const NEWLINE = 0x0a;

/**
 * Where the last `lines` lines begin, found by reading records backwards over their trailing lengths.
 * Undefined when the log has no more lines than that (start at its beginning).
 */
export async function findTail(directory: string, lines: number): Promise<TailPosition | undefined> {
  let counted = 0;
  const ends = new Set<number>();
  for (const number of (await listLogFiles(directory)).reverse()) {
    await using file = await LogFile.open(directory, number);
    if (file === undefined) continue;
    let end = (await file.handle.stat()).size;
    const record = Buffer.allocUnsafe(MAX_LOG_RECORD_BYTES + LOG_HEADER_BYTES);
    while (end > 0) {
      const length = await readLength(file, end);
      const start = length === undefined ? -1 : end - LOG_TRAILER_BYTES - length - LOG_HEADER_BYTES;
      // A torn end: nothing before it can be found from here, so read this file from its beginning.
      if (length === undefined || start < 0) return { file: number, offset: 0, skipLines: 0 };
      await file.handle.read(record, 0, LOG_HEADER_BYTES + length, start);
      const data = record.subarray(LOG_HEADER_BYTES, LOG_HEADER_BYTES + length);
      const stream = record.readUInt8(4);
      if (!ends.has(stream)) {
        ends.add(stream);
        if (data.at(-1) !== NEWLINE) counted += 1;
      }
      for (const byte of data) if (byte === NEWLINE) counted += 1;
      end = start;
      // One spare line for each stream: the first line found may have begun in an earlier record.
      if (counted >= lines + 2) return { file: number, offset: start, skipLines: counted - lines };
    }
  }
  return counted > lines ? { file: 0, offset: 0, skipLines: counted - lines } : undefined;
}

async function readLength(file: LogFile, end: number): Promise<number | undefined> {
  if (end < LOG_TRAILER_BYTES) return undefined;
  const trailer = Buffer.alloc(LOG_TRAILER_BYTES);
  await file.handle.read(trailer, 0, LOG_TRAILER_BYTES, end - LOG_TRAILER_BYTES);
  const length = trailer.readUInt32LE(0);
  return length > MAX_LOG_RECORD_BYTES ? undefined : length;
}

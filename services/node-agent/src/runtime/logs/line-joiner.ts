import type { LogRecord } from './log-record.ts';

/** Docker cuts longer lines. */
export const MAX_LINE_BYTES = 16 * 1024;
const NEWLINE = 0x0a;

/**
 * Joins what was written in pieces to whole lines, for each stream on its own: what comes out ends with a line feed, but for parts of
 * lines longer than 16 KiB. Holds less than such a part per stream.
 */
export class LineJoiner {
  readonly #rest = new Map<LogRecord['stream'], LogRecord>();

  /** A line has the time of its first piece. */
  push(record: LogRecord): readonly LogRecord[] {
    const { stream, time } = record;
    const held = this.#rest.get(stream);
    const data = held === undefined ? record.data : Buffer.concat([held.data, record.data]);
    const end = wholeLines(data);
    if (end < data.length)
      this.#rest.set(stream, { stream, time: end === 0 && held ? held.time : time, data: data.subarray(end) });
    else this.#rest.delete(stream);
    if (end === 0) return [];
    const whole = data.subarray(0, end);
    if (held === undefined) return [{ stream, time, data: whole }];
    const first = whole.indexOf(NEWLINE) + 1 || end;
    const begun = { stream, time: held.time, data: whole.subarray(0, first) };
    return first === end ? [begun] : [begun, { stream, time, data: whole.subarray(first) }];
  }

  /** What has no line feed yet, at the end of the log. */
  flush(): readonly LogRecord[] {
    const rest = [...this.#rest.values()];
    this.#rest.clear();
    return rest;
  }
}

/** Bytes up to the last line feed, and beyond it as many as make parts of a line that is too long. */
function wholeLines(data: Buffer): number {
  const end = data.lastIndexOf(NEWLINE) + 1;
  return end + Math.floor((data.length - end) / MAX_LINE_BYTES) * MAX_LINE_BYTES;
}

/** Without the first lines of it; empty when it has no more than that. A part of a long line counts as one. */
export function withoutLines(data: Buffer, lines: number): { readonly data: Buffer; readonly skipped: number } {
  let at = 0;
  let skipped = 0;
  for (; skipped < lines && at < data.length; skipped++) {
    const found = data.indexOf(NEWLINE, at);
    at = found === -1 ? data.length : found + 1;
  }
  return { data: data.subarray(at), skipped };
}

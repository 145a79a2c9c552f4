import type { LogRecord } from './log-record.ts';

/** A line with its line feed; without one when it was the last, or longer than 16 KiB (as Docker cuts it). */
export type LogLine = LogRecord;

const MAX_LINE_BYTES = 16 * 1024;
const NEWLINE = 0x0a;

/** Puts records together to lines, for each stream on its own. Holds at most one line per stream. */
export class LineSplitter {
  readonly #rest = new Map<LogRecord['stream'], LogLine>();

  *push(record: LogRecord): Generator<LogLine> {
    const { stream } = record;
    const held = this.#rest.get(stream);
    const time = held?.time ?? record.time;
    const data = held === undefined ? record.data : Buffer.concat([held.data, record.data]);
    this.#rest.delete(stream);
    let at = 0;
    while (at < data.length) {
      const found = data.indexOf(NEWLINE, at);
      const end = Math.min(found === -1 ? data.length : found + 1, at + MAX_LINE_BYTES);
      const line: LogLine = { stream, time: at === 0 ? time : record.time, data: data.subarray(at, end) };
      if (found === -1 && end - at < MAX_LINE_BYTES) {
        this.#rest.set(stream, line);
        return;
      }
      yield line;
      at = end;
    }
  }

  /** What has no line feed yet, at the end of the log. */
  *flush(): Generator<LogLine> {
    yield* this.#rest.values();
    this.#rest.clear();
  }
}

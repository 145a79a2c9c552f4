import { describe, expect, test } from 'vitest';
import { LineJoiner, MAX_LINE_BYTES, withoutLines } from './line-joiner.ts';
import type { LogRecord } from './log-record.ts';

const record = (text: string, time = 1n, stream: LogRecord['stream'] = 'stdout'): LogRecord => ({
  stream,
  time,
  data: Buffer.from(text),
});

/** What comes out of several records, as time:text, and what is left at the end. */
function join(...records: LogRecord[]): { readonly lines: string[]; readonly rest: string[] } {
  const joiner = new LineJoiner();
  const show = ({ time, data }: LogRecord): string => `${time}:${data.toString()}`;
  const lines = records.flatMap((one) => joiner.push(one)).map(show);
  return { lines, rest: joiner.flush().map(show) };
}

const long = 'x'.repeat(MAX_LINE_BYTES);

describe('joining lines', () => {
  test.each([
    ['many lines of one write stay together', [record('a\nb\n')], ['1:a\nb\n'], []],
    ['a line in pieces has the time of its first', [record('a'), record('b\n', 2n)], ['1:ab\n'], []],
    ['what follows it has its own', [record('a'), record('b\nc\n', 2n)], ['1:ab\n', '2:c\n'], []],
    ['in three pieces too', [record('a'), record('b', 2n), record('c\n', 3n)], ['1:abc\n'], []],
    ['a beginning waits', [record('a\nb')], ['1:a\n'], ['1:b']],
    ['an empty line is a line', [record('\n')], ['1:\n'], []],
    ['a line that is too long comes in parts', [record(`${long}y`)], [`1:${long}`], ['1:y']],
    ['streams do not mix', [record('a'), record('b\n', 2n, 'stderr'), record('c\n', 3n)], ['2:b\n', '1:ac\n'], []],
  ])('%s', (_, records, lines, rest) => {
    expect(join(...records)).toEqual({ lines, rest });
  });
});

describe('leaving out the first lines', () => {
  test.each([
    ['a\nb\nc\n', 2, 'c\n', 2],
    ['a\nb\n', 2, '', 2],
    ['a\n', 3, '', 1],
    ['a', 1, '', 1],
    ['a\nb', 1, 'b', 1],
    ['a\n', 0, 'a\n', 0],
  ])('%j without %i', (text, lines, left, skipped) => {
    const result = withoutLines(Buffer.from(text), lines);
    expect([result.data.toString(), result.skipped]).toEqual([left, skipped]);
  });
});

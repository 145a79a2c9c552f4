import { describe, expect, test } from 'vitest';
import { formatLogTime, formatRfc3339Nano, parseTimestamp } from './timestamp.ts';

const NOW = 1_700_000_000_000;

describe('parsing', () => {
  test.each([
    ['unix seconds', '1136073600', 1_136_073_600_000_000_000n],
    ['unix seconds with nanoseconds', '1136073600.000000001', 1_136_073_600_000_000_001n],
    ['a short fraction', '1.5', 1_500_000_000n],
    ['RFC 3339', '2006-01-02T15:04:05Z', 1_136_214_245_000_000_000n],
    ['with nanoseconds and zone', '2006-01-02T15:04:05.123456789+02:00', 1_136_207_045_123_456_789n],
    ['a date', '2006-01-02', 1_136_160_000_000_000_000n],
    ['minutes only', '2006-01-02T15:04', 1_136_214_240_000_000_000n],
    ['a duration back from now', '1m30s', 1_699_999_910_000_000_000n],
    ['parts of a second', '1.5s', 1_699_999_998_500_000_000n],
  ])('%s', (_name, text, want) => {
    expect(parseTimestamp(text, 'since', NOW)).toBe(want);
  });
  test.each(['yesterday', '2006-13-02T15:04:05Z', '1e9', '', '10 m'])('%j is refused', (text) => {
    expect(() => parseTimestamp(text, 'since', NOW)).toThrow('"since"');
  });
});

describe('formatting', () => {
  test.each([
    [0n, '0001-01-01T00:00:00Z'],
    [1_136_073_600_000_000_000n, '2006-01-01T00:00:00Z'],
    [1_136_073_600_120_000_000n, '2006-01-01T00:00:00.12Z'],
    [1_136_073_600_000_000_001n, '2006-01-01T00:00:00.000000001Z'],
  ])('%s', (ns, want) => {
    expect(formatRfc3339Nano(ns)).toBe(want);
  });
  test('log lines always have nine decimals', () => {
    expect(formatLogTime(1_136_073_600_120_000_000n)).toBe('2006-01-01T00:00:00.120000000Z');
  });
});

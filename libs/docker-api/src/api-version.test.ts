import { describe, expect, test } from 'vitest';
import { formatApiVersion, isAtLeast, judgeApiVersion, parseApiVersion } from './api-version.ts';

describe('versions', () => {
  test.each([
    ['1.23', 'too-old'],
    ['1.24', 'served'],
    ['1.51', 'served'],
    ['1.52', 'too-new'],
    ['2.0', 'too-new'],
    ['0.9', 'too-old'],
  ])('%s is %s', (text, verdict) => {
    const version = parseApiVersion(text);
    expect(version && judgeApiVersion(version)).toBe(verdict);
    expect(version && formatApiVersion(version)).toBe(text);
  });
  test.each(['', '1', '1.', '1.2.3', 'latest', '1.-2', '99999.1'])('%j is none', (text) => {
    expect(parseApiVersion(text)).toBeUndefined();
  });
  test('1.9 is older than 1.42', () => {
    expect(isAtLeast({ major: 1, minor: 9 }, 42)).toBe(false);
    expect(isAtLeast({ major: 1, minor: 42 }, 42)).toBe(true);
  });
});

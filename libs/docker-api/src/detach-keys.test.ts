import { describe, expect, test } from 'vitest';
import { DEFAULT_DETACH_KEYS, DetachScanner, parseDetachKeys } from './detach-keys.ts';

describe('parsing', () => {
  test.each([
    ['', [...DEFAULT_DETACH_KEYS]],
    ['ctrl-p,ctrl-q', [16, 17]],
    ['ctrl-a,d', [1, 100]],
    ['ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_', [0, 27, 28, 29, 30, 31]],
  ])('%j', (text, want) => {
    expect(parseDetachKeys(text)).toEqual(want);
  });
  test.each(['ctrl-1', 'ctrl-', 'alt-x', 'a,,b', 'ctrl-ab'])('%j is refused', (text) => {
    expect(() => parseDetachKeys(text)).toThrow('invalid detach keys');
  });
});

describe('scanning', () => {
  const run = (keys: readonly number[], ...chunks: readonly string[]) => {
    const scanner = new DetachScanner(keys);
    let text = '';
    for (const chunk of chunks) {
      const { data, detached } = scanner.scan(Buffer.from(chunk));
      text += data.toString();
      if (detached) return { text, detached };
    }
    return { text, detached: false };
  };
  test.each([
    ['the keys in one piece', [16, 17], ['ab\x10\x11cd'], { text: 'ab', detached: true }],
    ['the keys in two pieces', [16, 17], ['ab\x10', '\x11'], { text: 'ab', detached: true }],
    ['a sequence that is not completed', [16, 17], ['a\x10b'], { text: 'a\x10b', detached: false }],
    ['the first key twice', [16, 17], ['\x10\x10\x11'], { text: '\x10', detached: true }],
    ['one key', [4], ['ab\x04'], { text: 'ab', detached: true }],
    ['nothing of the kind', [16, 17], ['hello'], { text: 'hello', detached: false }],
  ])('%s', (_name, keys, chunks, want) => {
    expect(run(keys, ...chunks)).toEqual(want);
  });
});

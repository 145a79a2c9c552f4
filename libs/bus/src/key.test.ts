import { describe, expect, test } from 'vitest';
import { decodeKeyPart, encodeKeyPart, parseStateKey, stateKey } from './key.ts';

describe('keys', () => {
  test.each([
    ['a plain id', 'abc_9-Z', 'abc_9-Z'],
    ['a dot', 'a.b', 'a=2Eb'],
    ['a star and a greater-than', '*>', '=2A=3E'],
    ['a space', 'a b', 'a=20b'],
    ['the escape itself', 'a=b', 'a=3Db'],
    ['more than ASCII', 'ü', '=C3=BC'],
  ])('%s is encoded and decoded', (_name, text, encoded) => {
    expect(encodeKeyPart(text)).toBe(encoded);
    expect(decodeKeyPart(encoded)).toBe(text);
    expect(parseStateKey(stateKey('container', text))).toEqual({ kind: 'container', id: text });
  });

  test('two texts never share a key', () => {
    const texts = ['a.b', 'a=2Eb', 'a=2eb', 'a b', 'ab', 'A.B'];
    expect(new Set(texts.map(encodeKeyPart)).size).toBe(texts.length);
  });

  test.each(['', 'a b', 'a=2', 'a=zz', '=FF'])('%j is no key part', (text) => {
    expect(() => decodeKeyPart(text)).toThrow(/key part/);
  });

  test.each(['container', 'a.b.c', 'a.', '.b', 'a.b=2'])('%j is no key', (text) => {
    expect(parseStateKey(text)).toBeUndefined();
  });

  test('an empty id has no key', () => {
    expect(() => stateKey('container', '')).toThrow(/empty/);
  });
});

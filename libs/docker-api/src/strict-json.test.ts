import { reasonOf } from '@atoll/errors';
import { describe, expect, test } from 'vitest';
import { parseStrictJson } from './strict-json.ts';

describe('good JSON', () => {
  test.each([
    ['an object', '{"a":{"b":[1,"x"]},"c":null}'],
    ['names with quotes and brackets in them', '{"a\\"{":1,"]":"}{[\\\\"}'],
    ['equal names in different objects', '{"a":{"x":1},"b":{"x":2},"c":[{"x":1},{"x":2}]}'],
    ['values equal to names', '{"a":"a","b":["a","a"]}'],
    ['white space', ' \n{ "a" : 1 }\t'],
  ])('%s', (_name, text) => {
    expect(parseStrictJson(text)).toEqual(JSON.parse(text));
  });
});

describe('bad JSON', () => {
  test.each([
    ['not closed', '{"a":1', 'invalid JSON in body'],
    ['something after it', '{} {}', 'invalid JSON in body'],
    ['a name twice', '{"a":1,"b":2,"a":3}', '"a" is given twice'],
    ['a name twice, written differently', '{"a":1,"\\u0061":3}', '"a" is given twice'],
    ['a name twice, deeper', '[{"x":{"y":1,"y":1}}]', '"y" is given twice'],
    ['too deep', `${'['.repeat(33)}${']'.repeat(33)}`, 'nested deeper than 32'],
    ['far too deep', '['.repeat(2_000_000), 'nested deeper than 32'],
    ['a string that does not end', '{"a', 'invalid JSON in body'],
    ['nothing', '', 'invalid JSON in body'],
  ])('%s', (_name, text, message) => {
    try {
      parseStrictJson(text);
      expect.unreachable();
    } catch (error) {
      expect(reasonOf(error)).toBe('invalid-argument');
      expect((error as Error).message).toContain(message);
    }
  });
});

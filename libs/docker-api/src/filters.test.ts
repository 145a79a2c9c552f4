import { describe, expect, test } from 'vitest';
import { booleanFilter, matchesLabels, parseFilters } from './filters.ts';

const NAMES = ['label', 'status', 'dangling'];

describe('parsing', () => {
  test.each([
    ['lists', '{"label":["a","b=c"]}', ['a', 'b=c']],
    ['the map form of old clients', '{"label":{"a":true,"b":false}}', ['a']],
    ['nothing', '', undefined],
  ])('%s', (_name, text, want) => {
    expect(parseFilters(text, NAMES).get('label')).toEqual(want);
  });
  test.each([
    ['an unknown name', '{"x":["a"]}', "invalid filter 'x'"],
    ['no object', '["label"]', 'invalid filters'],
    ['a number', '{"label":[1]}', 'wants a list of texts'],
    ['a text', '{"label":"a"}', 'wants a list of texts'],
    ['no JSON', '{', 'invalid JSON in filters'],
  ])('%s is refused', (_name, text, message) => {
    expect(() => parseFilters(text, NAMES)).toThrow(message);
  });
});

describe('booleans', () => {
  test.each([
    ['true', true],
    ['1', true],
    ['FALSE', false],
    ['0', false],
  ])('%s', (text, want) => {
    expect(booleanFilter(parseFilters(`{"dangling":["${text}"]}`, NAMES), 'dangling')).toBe(want);
  });
  test('anything else is refused', () => {
    expect(() => booleanFilter(parseFilters('{"dangling":["maybe"]}', NAMES), 'dangling')).toThrow('invalid filter');
    expect(() => booleanFilter(parseFilters('{"dangling":["1","0"]}', NAMES), 'dangling')).toThrow('invalid filter');
  });
});

describe('labels', () => {
  const labels = { a: '1', empty: '' };
  test.each([
    ['a key', ['a'], true],
    ['a key and value', ['a=1'], true],
    ['another value', ['a=2'], false],
    ['an empty value', ['empty='], true],
    ['all must match', ['a', 'b'], false],
    ['no name of Object', ['constructor'], false],
    ['none asked', undefined, true],
  ])('%s', (_name, wanted, want) => {
    expect(matchesLabels(wanted, labels)).toBe(want);
  });
});

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles are full of them
import { describe, expect, test } from 'vitest';
import { expandWord, expandWords } from './expand.ts';

const VARIABLES = new Map([
  ['x', 'value'],
  ['empty', ''],
  ['path', '/usr/local/bin'],
  ['two', 'a b'],
  ['ü', 'umlaut'],
  ['file', 'archive.tar.gz'],
]);
const expand = (word: string, escapeChar = '\\'): string => expandWord(word, VARIABLES, escapeChar);

// biome-ignore format: a table
const CASES: readonly (readonly [string, string])[] = [
  ['plain', 'plain'], ['', ''], ['$x', 'value'], ['${x}', 'value'], ['a$x.b', 'avalue.b'], ['$x$x', 'valuevalue'],
  ['$unset', ''], ['a${unset}b', 'ab'], ['$xy', ''], ['${x}y', 'valuey'], ['$x_y', ''], ['$', '$'], ['a$', 'a$'], ['$ x', '$ x'],
  ['$ü', 'umlaut'], ['$1', ''], ['$12a', 'a'], ['$@', ''], ['$$x', 'x'], ['$.x', '$.x'],
  // quotes
  ["'$x'", '$x'], ['"$x"', 'value'], ['"a b"', 'a b'], ["'a\"b'", 'a"b'], ['"a\'b"', "a'b"], ["a'b'c", 'abc'], ['"${x}"\'$x\'', 'value$x'],
  ['""', ''], ["''", ''],
  // escapes
  ['\\$x', '$x'], ['\\\\$x', '\\value'], ['\\\\\\$x', '\\$x'], ['a\\b', 'ab'], ['a\\ b', 'a b'], ['a\\', 'a'], ['\\"', '"'], ["\\'", "'"],
  ['"\\$x"', '$x'], ['"\\""', '"'], ['"\\\\"', '\\'], ['"\\n"', '\\n'], ["'\\'", '\\'], ['"\\a\\$\\""', '\\a$"'],
  // modifiers
  ['${x:-d}', 'value'], ['${unset:-d}', 'd'], ['${empty:-d}', 'd'], ['${x-d}', 'value'], ['${unset-d}', 'd'], ['${empty-d}', ''],
  ['${x:+d}', 'd'], ['${unset:+d}', ''], ['${empty:+d}', ''], ['${x+d}', 'd'], ['${unset+d}', ''], ['${empty+d}', 'd'],
  ['${x:?m}', 'value'], ['${x?m}', 'value'], ['${empty?m}', ''],
  ['${unset:-}', ''], ['${unset:-a b}', 'a b'], ['${unset:-$x}', 'value'], ['${unset:-${x}}', 'value'],
  ['${unset:-${also:-deep}}', 'deep'], ['${unset:-${empty:-${x:+y}}}', 'y'], ["${unset:-'$x'}", '$x'], ['${unset:-"a}b"}', 'a}b'],
  ['${unset:-\\}}', '}'], ['"${unset:-a}"', 'a'],
  // patterns
  ['${path#/}', 'usr/local/bin'], ['${path#*/}', 'usr/local/bin'], ['${path##*/}', 'bin'], ['${path%/*}', '/usr/local'], ['${path%%/*}', ''],
  ['${file%.*}', 'archive.tar'], ['${file%%.*}', 'archive'], ['${file#*.}', 'tar.gz'], ['${file##*.}', 'gz'], ['${x#?}', 'alue'], ['${x%?}', 'valu'],
  ['${x#nope}', 'value'], ['${x%nope}', 'value'], ['${unset#a}', ''],
  ['${path/\\//-}', '-usr/local/bin'], ['${path//\\//-}', '-usr-local-bin'], ['${x/a/A}', 'vAlue'], ['${x/?/Z}', 'Zalue'], ['${x//?/Z}', 'ZZZZZ'],
  ['${x/nope/Z}', 'value'], ['${x/l*/Z}', 'vaZ'],
];

describe('expansion of a word', () => {
  test.each(CASES)('%s -> %s', (word, want) => {
    expect(expand(word)).toBe(want);
  });

  test.each([
    ['`$x', '$x'],
    ['\\$x', '\\value'],
    ['c:\\$x', 'c:\\value'],
    ['``', '`'],
    ['"`$x`""', '$x"'],
  ])('with a backtick as escape character: %s -> %s', (word, want) => {
    expect(expand(word, '`')).toBe(want);
  });
});

describe('what is malformed', () => {
  test.each([
    ['${', "missing '}'"],
    ['${x', "missing '}'"],
    ['${x:-a', "missing '}'"],
    ['${x:', 'unsupported modifier (:) in substitution'],
    ['${}', 'bad substitution'],
    ['${:-a}', 'bad substitution'],
    ['${{x}}', 'bad substitution'],
    ['${x.y}', 'unsupported modifier (.) in substitution'],
    ['${x:=y}', 'unsupported modifier (:=) in substitution'],
    ['${x/a}', "missing '/'"],
    ['${unset?}', 'unset: is not allowed to be unset'],
    ['${empty:?}', 'empty: is not allowed to be empty'],
    ['${unset:?say so}', 'unset: say so'],
    ['"x', 'looking for matching double-quote'],
    ["'x", 'looking for matching single-quote'],
    ['"$x', 'looking for matching double-quote'],
  ])('%s: %s', (word, want) => {
    expect(() => expand(word)).toThrow(want);
  });

  test('nesting has a limit', () => {
    expect(() => expand(`${'${a:-'.repeat(100)}x${'}'.repeat(100)}`)).toThrow('nested too deeply');
  });

  test('so has the length of what comes out', () => {
    const long = new Map([['a', 'x'.repeat(1 << 19)]]);
    expect(() => expandWord('$a$a$a', long, '\\')).toThrow('too long');
  });

  test('and the search for a pattern with a star', () => {
    expect(() => expandWord('${a/x*y/}', new Map([['a', 'x'.repeat(10_000)]]), '\\')).toThrow(
      'too long for this pattern',
    );
  });
});

describe('splitting into words', () => {
  test.each<[string, string[]]>([
    ['a b', ['a', 'b']],
    ['  a  ', ['a']],
    ['$two', ['a', 'b']],
    ['"$two"', ['a b']],
    ["'a b' c", ['a b', 'c']],
    ['x$two', ['xa', 'b']],
    ['a\\ b', ['a b']],
    ['', []],
    ['$unset', []],
  ])('%j -> %j', (word, want) => {
    expect(expandWords(word, VARIABLES, '\\')).toEqual(want);
  });
});

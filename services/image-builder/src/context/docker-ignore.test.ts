import { cleanPath } from '@atoll/dockerfile';
import { describe, expect, test } from 'vitest';
import { DockerIgnore } from './docker-ignore.ts';

// biome-ignore format: a table
const CASES: readonly (readonly [patterns: string, path: string, excluded: boolean])[] = [
  ['', 'a', false], ['# a', 'a', false], ['a', 'a', true], ['a', 'b', false], ['a', 'a/b', true], ['a', 'x/a', false], ['/a', 'a', true], ['/a/', 'a/b', true],
  ['./a', 'a', true], ['a/../b', 'b', true], [' a ', 'a', true], ['a\r', 'a', true], ['.', 'a', false], ['..', 'a', false],
  ['*', 'a', true], ['*', 'a/b', true], ['*.md', 'x.md', true], ['*.md', 'd/x.md', false], ['*/*.md', 'd/x.md', true], ['*/*.md', 'x.md', false],
  ['*/temp*', 'd/temporary.txt', true], ['*/*/temp*', 'a/b/temp', true], ['temp?', 'tempa', true], ['temp?', 'temp', false], ['temp?', 'temp/', false],
  ['**', 'a/b/c', true], ['**/foo', 'foo', true], ['**/foo', 'a/foo', true], ['**/foo', 'a/b/foo', true], ['**/foo', 'afoo', false], ['**/foo', 'foo/bar', true],
  ['foo/**', 'foo', false], ['foo/**', 'foo/a', true], ['foo/**', 'foo/a/b', true], ['**/*.go', 'a.go', true], ['**/*.go', 'x/y/a.go', true], ['**/*.go', 'a.goo', false],
  ['a/**/b', 'a/b', true], ['a/**/b', 'a/x/b', true], ['a/**/b', 'a/x/y/b', true], ['a/**/b', 'a/xb', false], ['abc/**', 'abc/def/ghi', true], ['**/.git', '.git', true],
  ['**file', 'file', true], ['**file', 'dir/file', true], ['**/file', 'dir/dir/file', true], ['dir/**', 'dir/file/', true], ['**/dir2/*', 'dir/dir2/file', true],
  ['[a-c]x', 'bx', true], ['[a-c]x', 'dx', false], ['[^a]x', 'bx', true], ['[^a]x', 'ax', false], ['[!a]x', '!x', true], ['a\\*b', 'a*b', true], ['a\\*b', 'axb', false],
  ['a.b', 'axb', false], ['a$b', 'a$b', true], ['a+b', 'a+b', true], ['(a)', '(a)', true], ['a|b', 'a', false], ['{a}', '{a}', true], ['ü*', 'üx', true],
  ['*\n!a', 'a', false], ['*\n!a', 'b', true], ['*\n!a', 'a/x', false], ['a\n!a/b', 'a/b', false], ['a\n!a/b', 'a/c', true], ['*.md\n!README.md', 'README.md', false],
  ['*.md\n!README*.md\nREADME-secret.md', 'README-secret.md', true], ['*.md\nREADME-secret.md\n!README*.md', 'README-secret.md', false],
  ['!a\na', 'a', true], ['a\n! a', 'a', false], ['**\n!keep/**', 'keep/x/y', false], ['**\n!keep/**', 'drop', true], ['!../\n*', 'a', true],
];

describe('rules', () => {
  test.each(CASES)('%j on %s: %s', (patterns, path, excluded) => {
    expect(DockerIgnore.parse(patterns).excludes(path)).toBe(excluded);
  });

  test.each(['[', 'a[b', '[]a', '[a-]', 'a\\', 'ok\n[x'])('malformed %j is refused', (patterns) => {
    expect(() => DockerIgnore.parse(patterns)).toThrow('syntax error in pattern');
  });
  test('a lone exclamation mark is refused', () => {
    expect(() => DockerIgnore.parse('!')).toThrow('illegal exclusion pattern');
  });
  test('there is a limit', () => {
    expect(() => DockerIgnore.parse('a\n'.repeat(5_001))).toThrow('more than 5000 patterns');
  });
  test('many stars cost no more than pattern times path', () => {
    expect(DockerIgnore.parse('*a'.repeat(40)).excludes('a'.repeat(39))).toBe(false);
    expect(DockerIgnore.parse(`${'**/a'.repeat(30)}b`).excludes('a/'.repeat(200))).toBe(false);
  });
});

test.each([
  ['a/../b', 'b'],
  ['../a', '../a'],
  ['a/../../b', '../b'],
  ['/../a', '/a'],
  ['a//b/./c/', 'a/b/c'],
  ['', '.'],
  ['/', '/'],
  ['..', '..'],
])('cleanPath(%s) = %s', (path, want) => {
  expect(cleanPath(path)).toBe(want);
});

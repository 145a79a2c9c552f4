import { describe, expect, test } from 'vitest';
import { lexDockerfile } from './lexer.ts';

const lex = (text: string) => lexDockerfile(Buffer.from(text));
const texts = (text: string): string[] => lex(text).lines.map((line) => line.text);

describe('logical lines', () => {
  test.each<[string, string, string[]]>([
    ['one a line', 'FROM a\nRUN b', ['FROM a', 'RUN b']],
    ['blank lines and comments between', '\n# x\n  # y\nFROM a\n\n\nRUN b\n', ['FROM a', 'RUN b']],
    ['a continuation', 'RUN a \\\n b', ['RUN a  b']],
    ['blanks after the escape character', 'RUN a \\ \t\n b', ['RUN a  b']],
    ['a comment inside a continuation', 'RUN a \\\n# no\n  # nor this\n b', ['RUN a  b']],
    ['an empty line inside a continuation', 'RUN a \\\n\n b', ['RUN a  b']],
    ['a continuation at the end of the file', 'RUN a \\', ['RUN a ']],
    ['a continuation of nothing', 'RUN a \\\n\\\n b', ['RUN a  b']],
    ['CRLF', 'FROM a\r\nRUN b \\\r\n c\r\n', ['FROM a', 'RUN b  c']],
    ['a byte order mark', '\uFEFFFROM a', ['FROM a']],
    ['leading blanks', '  FROM a\n\tRUN b', ['FROM a', 'RUN b']],
    ['a hash inside a line', 'RUN echo # x', ['RUN echo # x']],
    ['an escaped escape at the end is a continuation all the same', 'RUN a\\\\\nb', ['RUN a\\b']],
    ['only comments', '# a\n#b', []],
    ['nothing', '', []],
  ])('%s', (_name, text, want) => {
    expect(texts(text)).toEqual(want);
  });

  test('carry the lines they span', () => {
    expect(lex('# c\n\nFROM a\nRUN b \\\n# c\n c\nRUN d').lines.map(({ line, endLine }) => [line, endLine])).toEqual([
      [3, 3],
      [4, 6],
      [7, 7],
    ]);
  });

  test('an empty continuation line is warned about', () => {
    expect(lex('RUN a \\\n\n b').warnings).toEqual(['[WARNING]: Empty continuation line found in:\n    RUN a  b']);
  });
});

describe('directives', () => {
  test.each<[string, string, string, string | undefined]>([
    ['none', 'FROM a', '\\', undefined],
    ['escape', '# escape=`\nFROM a', '`', undefined],
    ['escape without blanks, upper case', '#ESCAPE=`\nFROM a', '`', undefined],
    ['syntax', '# syntax=docker/dockerfile:1\nFROM a', '\\', 'docker/dockerfile:1'],
    ['both', '# syntax = x\n# escape = `\nFROM a', '`', 'x'],
    ['after a comment it is a comment', '# hi\n# escape=`\nFROM a', '\\', undefined],
    ['after an empty line it is a comment', '\n# escape=`\nFROM a', '\\', undefined],
    ['after an instruction it is a comment', 'FROM a\n# escape=`', '\\', undefined],
    ['an unknown one ends them', '# foo=1\n# escape=`\nFROM a', '\\', undefined],
  ])('%s', (_name, text, escapeChar, syntax) => {
    expect(lex(text)).toMatchObject({ escapeChar, syntax });
  });

  test('the backtick continues lines and the backslash does not', () => {
    expect(texts('# escape=`\nRUN a `\n b\nRUN c:\\')).toEqual(['RUN a  b', 'RUN c:\\']);
  });
});

describe('refusals name the line', () => {
  test.each<[string, string, string]>([
    ['escape twice', '# escape=`\n# escape=`\nFROM a', 'on line 2: only one escape parser directive can be used'],
    ['a wrong escape', '# escape=x\nFROM a', "on line 1: invalid escape token 'x' does not match ` or \\"],
    ['NUL', 'FROM a\nRUN \0', 'on line 2: NUL byte'],
    [
      'a long line',
      `FROM a\nRUN ${'x'.repeat(70_000)}`,
      'on line 2: dockerfile line greater than max allowed size of 65535',
    ],
    ['many instructions', 'RUN a\n'.repeat(10_001), 'on line 10001: more than 10000 instructions'],
  ])('%s', (_name, text, want) => {
    expect(() => lex(text)).toThrow(want);
  });

  test('a file of 10 MB is not even looked at', () => {
    expect(() => lexDockerfile(Buffer.alloc(10 << 20, 'a'))).toThrow('at most 1048576 are read');
  });
});

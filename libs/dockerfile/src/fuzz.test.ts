// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles are full of them
import { AtollError } from '@atoll/errors';
import { DockerfileParser } from 'dockerfile-ast';
import { describe, expect, test } from 'vitest';
import { expandWord } from './expand.ts';
import { lexDockerfile } from './lexer.ts';
import { parseDockerfile } from './parser.ts';

/** The same numbers every run (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// biome-ignore format: a table
const PIECES = [
  'FROM a', 'FROM a AS b', 'RUN echo', 'COPY --from=b x y', 'ENV a=b', 'ARG v=${a:-1}', 'ONBUILD RUN x', 'SHELL ["a"]', 'CMD [', '["a","b"]',
  '\n', '\n', '\r\n', '\\\n', '\\ \n', '# c\n', '# escape=`\n', '`\n', ' ', '\t', '"', "'", '$', '${', '}', '$x', '${x:-', '\\', '=', '--', '--chown=1',
  '\0', '\uFEFF', 'é', '\u2028', '<<EOF', 'EOF\n', 'HEALTHCHECK', 'x'.repeat(300), '../', '[', ']', '1', ',', 'LABEL a=b', 'constructor',
];

describe('whatever is thrown at it', () => {
  test('the parser answers or refuses with a class of its own', () => {
    const next = random(20_261);
    let parsed = 0;
    for (let round = 0; round < 4_000; round++) {
      const prefix = next() < 0.7 ? 'FROM a\n' : '';
      const text =
        prefix + Array.from({ length: 1 + next() * 14 }, () => PIECES[Math.floor(next() * PIECES.length)]).join('');
      try {
        parseDockerfile(Buffer.from(text));
        parsed++;
      } catch (error) {
        expect(error, JSON.stringify(text)).toBeInstanceOf(AtollError);
        expect((error as AtollError).reason).toBe('invalid-argument');
      }
    }
    expect(parsed).toBeGreaterThan(200);
  });

  test('so does the expansion', () => {
    const next = random(7);
    const parts = [
      '$',
      '{',
      '}',
      ':',
      '-',
      '+',
      '?',
      '#',
      '%',
      '/',
      '*',
      '"',
      "'",
      '\\',
      'x',
      'y',
      ' ',
      '${x',
      ':-',
      '@',
      'ü',
    ];
    const variables = new Map([
      ['x', 'a/b*c'],
      ['y', ''],
    ]);
    let expanded = 0;
    for (let round = 0; round < 20_000; round++) {
      const word = Array.from({ length: 1 + next() * 12 }, () => parts[Math.floor(next() * parts.length)]).join('');
      try {
        expandWord(word, variables, '\\');
        expanded++;
      } catch (error) {
        expect(error, word).toBeInstanceOf(AtollError);
      }
    }
    expect(expanded).toBeGreaterThan(1_000);
  });
});

const CORPUS: Readonly<Record<string, string>> = {
  web: 'FROM node:24 AS build\nWORKDIR /app\nCOPY package*.json ./\nRUN npm ci \\\n  && npm run build\n\nFROM nginx\n# static\nCOPY --from=build /app/dist /usr/share/nginx/html\nEXPOSE 80\nCMD ["nginx", "-g", "daemon off;"]\n',
  apt: 'FROM debian:12\nRUN apt-get update \\\n # tools\n && apt-get install -y \\\n      curl \\\n      git \\\n && rm -rf /var/lib/apt/lists/*\nENV LANG=C.UTF-8 \\\n    PATH=/opt/bin:$PATH\nENTRYPOINT ["/entry.sh"]\n',
  args: 'ARG V=3\nFROM alpine:${V} AS base\nARG V\nLABEL version="$V" maintainer="a b"\nHEALTHCHECK --interval=5s CMD curl -f http://localhost/ || exit 1\nUSER 1000:1000\nVOLUME ["/data"]\nSTOPSIGNAL SIGQUIT\n',
  backtick: '# escape=`\nFROM a\nRUN dir `\n  c:\\\nSHELL ["powershell", "-command"]\n',
  shell:
    'FROM a\nONBUILD COPY . /src\nRUN for i in 1 2 3; do \\\n      echo "$i # not a comment"; \\\n    done\nADD x.tar.gz /\n',
};

describe('agrees with another parser on files people write', () => {
  test.each(Object.keys(CORPUS))('%s', (name) => {
    const text = CORPUS[name] as string;
    const theirs = DockerfileParser.parse(text)
      .getInstructions()
      .map((one) => [one.getKeyword(), one.getRange().start.line + 1, one.getRange().end.line + 1]);
    const ours = lexDockerfile(Buffer.from(text)).lines.map((line) => [
      (line.text.split(/\s/)[0] ?? '').toUpperCase(),
      line.line,
      line.endLine,
    ]);
    expect(ours).toEqual(theirs);
    expect(() => parseDockerfile(Buffer.from(text))).not.toThrow();
  });
});

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles are full of them
import { asAtollError } from '@atoll/errors';
import { describe, expect, test } from 'vitest';
import type { Instruction } from './instructions.ts';
import { parseDockerfile, parseTrigger } from './parser.ts';

const parse = (text: string) => parseDockerfile(Buffer.from(text));

/** The one instruction after `FROM a`, without its place. */
function one(text: string): object {
  const instruction = parse(`FROM a\n${text}`).stages[0]?.instructions[0] as Instruction;
  const { line, source, ...rest } = instruction;
  expect(line).toBe(2);
  expect(source).not.toBe('');
  return rest;
}

describe('instructions', () => {
  test.each<[string, object]>([
    ['RUN echo hi', { kind: 'RUN', command: { form: 'shell', words: ['echo hi'] }, network: undefined }],
    ['run echo hi', { kind: 'RUN', command: { form: 'shell', words: ['echo hi'] }, network: undefined }],
    ['RUN ["echo", "a b"]', { kind: 'RUN', command: { form: 'exec', words: ['echo', 'a b'] }, network: undefined }],
    ["RUN ['echo']", { kind: 'RUN', command: { form: 'shell', words: ["['echo']"] }, network: undefined }],
    ['RUN [ -f /x ] && y', { kind: 'RUN', command: { form: 'shell', words: ['[ -f /x ] && y'] }, network: undefined }],
    ['RUN --network=none x', { kind: 'RUN', command: { form: 'shell', words: ['x'] }, network: 'none' }],
    ['RUN -- --x', { kind: 'RUN', command: { form: 'shell', words: ['--x'] }, network: undefined }],
    ['CMD ["a"]', { kind: 'CMD', command: { form: 'exec', words: ['a'] } }],
    ['CMD []', { kind: 'CMD', command: { form: 'exec', words: [] } }],
    ['CMD ["a"] b', { kind: 'CMD', command: { form: 'shell', words: ['["a"] b'] } }],
    ['ENTRYPOINT a b', { kind: 'ENTRYPOINT', command: { form: 'shell', words: ['a b'] } }],
    ['ENV a=b', { kind: 'ENV', pairs: [{ name: 'a', value: 'b' }] }],
    ['ENV a b  c', { kind: 'ENV', pairs: [{ name: 'a', value: 'b  c' }] }],
    [
      'ENV a="b c" d=e\\ f',
      {
        kind: 'ENV',
        pairs: [
          { name: 'a', value: '"b c"' },
          { name: 'd', value: 'e\\ f' },
        ],
      },
    ],
    ["ENV a='x\\'", { kind: 'ENV', pairs: [{ name: 'a', value: "'x\\'" }] }],
    ['ENV a=', { kind: 'ENV', pairs: [{ name: 'a', value: '' }] }],
    ['ENV a=b=c', { kind: 'ENV', pairs: [{ name: 'a', value: 'b=c' }] }],
    ['LABEL a.b="c"', { kind: 'LABEL', pairs: [{ name: 'a.b', value: '"c"' }] }],
    ['LABEL "a b"=c', { kind: 'LABEL', pairs: [{ name: '"a b"', value: 'c' }] }],
    ['ARG a', { kind: 'ARG', args: [{ name: 'a', value: undefined }] }],
    [
      'ARG a=1 b',
      {
        kind: 'ARG',
        args: [
          { name: 'a', value: '1' },
          { name: 'b', value: undefined },
        ],
      },
    ],
    ['ARG a=', { kind: 'ARG', args: [{ name: 'a', value: '' }] }],
    ['WORKDIR /a b', { kind: 'WORKDIR', path: '/a b' }],
    ['USER a:b', { kind: 'USER', text: 'a:b' }],
    ['EXPOSE 80 443/tcp', { kind: 'EXPOSE', items: ['80', '443/tcp'] }],
    ['VOLUME /a /b', { kind: 'VOLUME', items: ['/a', '/b'] }],
    ['VOLUME ["/a b"]', { kind: 'VOLUME', items: ['/a b'] }],
    ['SHELL ["/bin/bash", "-c"]', { kind: 'SHELL', items: ['/bin/bash', '-c'] }],
    ['STOPSIGNAL SIGTERM', { kind: 'STOPSIGNAL', text: 'SIGTERM' }],
    ['MAINTAINER a <b@c>', { kind: 'MAINTAINER', text: 'a <b@c>' }],
    ['ONBUILD RUN x', { kind: 'ONBUILD', text: 'RUN x' }],
    ['COPY a b', copy('COPY', ['a'], 'b')],
    ['COPY a b /c/', copy('COPY', ['a', 'b'], '/c/')],
    ['COPY ["a b", "c"]', copy('COPY', ['a b'], 'c')],
    [
      'COPY --from=x --chown=1:2 --chmod=644 a b',
      { ...copy('COPY', ['a'], 'b'), from: 'x', chown: '1:2', chmod: '644' },
    ],
    ['ADD --chown=u a b', { ...copy('ADD', ['a'], 'b'), chown: 'u' }],
    ['HEALTHCHECK NONE', health({ test: ['NONE'] })],
    ['HEALTHCHECK CMD a b', health({ test: ['CMD-SHELL', 'a b'] })],
    [
      'HEALTHCHECK --interval=1m30s --timeout=2s --start-period=1ms --retries=3 CMD ["a"]',
      health({ test: ['CMD', 'a'], interval: 90e9, timeout: 2e9, startPeriod: 1e6, retries: 3 }),
    ],
  ])('%s', (text, want) => {
    expect(one(text)).toEqual(want);
  });
});

describe('stages', () => {
  test('with names, platforms and ARGs before them', () => {
    const file = parse('ARG V=1\nARG W\nFROM --platform=linux/amd64 a:${V} AS Build\nRUN x\nFROM build as two\n');
    expect(file.metaArgs.flatMap(({ args }) => args)).toEqual([
      { name: 'V', value: '1' },
      { name: 'W', value: undefined },
    ]);
    expect(
      file.stages.map(({ from, instructions }) => [from.image, from.name, from.platform, instructions.length]),
    ).toEqual([
      ['a:${V}', 'build', 'linux/amd64', 1],
      ['build', 'two', undefined, 0],
    ]);
  });
});

describe('refusals have Docker’s words and the line', () => {
  test.each<[string, number, string]>([
    ['FROM a\nFOO x', 2, 'unknown instruction: FOO'],
    ['FROM a\n\n# c\nRUN x \\\n y\nfoo', 6, 'unknown instruction: foo'],
    ['FROM a\n__proto__ x', 2, 'unknown instruction: __proto__'],
    ['FROM', 1, 'FROM requires either one or three arguments'],
    ['FROM a AS', 1, 'FROM requires either one or three arguments'],
    ['FROM a b c', 1, 'FROM requires either one or three arguments'],
    ['FROM a AS 1b', 1, 'invalid name for build stage: "1b", name can\'t start with a number or contain symbols'],
    ['FROM a AS ../x', 1, 'invalid name for build stage: "../x", name can\'t start with a number or contain symbols'],
    ['FROM --foo=1 a', 1, 'unknown flag: foo'],
    ['FROM --platform a', 1, 'missing a value on flag: platform'],
    ['RUN x', 1, 'no build stage in current context'],
    ['ARG a\nENV a=b\nFROM x', 2, 'no build stage in current context'],
    ['FROM a\nRUN', 2, 'RUN requires at least one argument'],
    ['FROM a\nRUN --mount=type=cache,target=/x y', 2, '--mount is not supported by this builder'],
    ['FROM a\nRUN --mount=a --mount=b y', 2, '--mount is not supported by this builder'],
    ['FROM a\nRUN <<EOF\nx\nEOF', 2, 'here-documents (<<EOF) are not supported'],
    ['FROM a\nCOPY <<"A" /x\nx\nA', 2, 'here-documents (<<"A") are not supported'],
    ['FROM a\nENV a', 2, 'ENV must have two arguments'],
    ['FROM a\nENV', 2, 'ENV requires at least one argument'],
    ['FROM a\nENV a=b c', 2, 'Syntax error - can\'t find = in "c". Must be of the form: name=value'],
    ['FROM a\nENV =b', 2, 'ENV names can not be blank'],
    ['FROM a\nARG', 2, 'ARG requires at least one argument'],
    ['FROM a\nARG =1', 2, 'ARG names can not be blank'],
    [
      'FROM a\nCOPY a',
      2,
      'COPY requires at least two arguments, but only one was provided. Destination could not be determined',
    ],
    ['FROM a\nCOPY [1, 2]', 2, 'when using JSON array syntax, arrays must be comprised of strings only'],
    ['FROM a\nCOPY --link a b', 2, '--link is not supported by this builder'],
    ['FROM a\nADD --checksum=x a b', 2, '--checksum is not supported by this builder'],
    ['FROM a\nADD --from=x a b', 2, 'unknown flag: from'],
    ['FROM a\nCOPY --chown=1 --chown=2 a b', 2, 'duplicate flag specified: chown'],
    ['FROM a\nWORKDIR', 2, 'WORKDIR requires exactly one argument'],
    ['FROM a\nEXPOSE', 2, 'EXPOSE requires at least one argument'],
    ['FROM a\nVOLUME [""]', 2, 'VOLUME specified can not be an empty string'],
    ['FROM a\nSHELL /bin/sh', 2, 'SHELL requires the arguments to be in JSON form'],
    ['FROM a\nSHELL []', 2, 'SHELL requires at least one argument'],
    ['FROM a\nONBUILD', 2, 'ONBUILD requires at least one argument'],
    ['FROM a\nONBUILD ONBUILD RUN x', 2, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
    ['FROM a\nONBUILD FROM x', 2, "FROM isn't allowed as an ONBUILD trigger"],
    ['FROM a\nONBUILD FOO', 2, 'unknown instruction: FOO'],
    ['FROM a\nHEALTHCHECK', 2, 'HEALTHCHECK requires at least one argument'],
    ['FROM a\nHEALTHCHECK NONE x', 2, 'HEALTHCHECK NONE takes no arguments'],
    ['FROM a\nHEALTHCHECK CMD', 2, 'Missing command after HEALTHCHECK CMD'],
    ['FROM a\nHEALTHCHECK RUN x', 2, 'Unknown type "RUN" in HEALTHCHECK (try CMD)'],
    ['FROM a\nHEALTHCHECK --interval=1x CMD x', 2, 'time: invalid duration "1x"'],
    ['FROM a\nHEALTHCHECK --interval=1us CMD x', 2, 'Interval "interval" cannot be less than 1ms'],
    ['FROM a\nHEALTHCHECK --retries=-1 CMD x', 2, '--retries cannot be negative (-1)'],
  ])('%j', (text, line, want) => {
    let error = asAtollError(undefined);
    try {
      parse(text);
    } catch (thrown) {
      error = asAtollError(thrown);
    }
    expect(error.reason).toBe('invalid-argument');
    expect(error.message).toContain(`dockerfile parse error on line ${line}: ${want}`);
    expect(error.details['line']).toBe(String(line));
  });

  test.each([
    ['nothing', ''],
    ['comments', '# a\n'],
    ['only ARGs', 'ARG a'],
  ])('a file with %s makes no image', (_name, text) => {
    expect(() => parse(text)).toThrow(/cannot be empty|No image was generated/);
  });
});

describe('triggers of a base image', () => {
  test('are single instructions', () => {
    expect(parseTrigger('RUN x')).toMatchObject({ kind: 'RUN' });
  });
  test.each(['RUN x\nRUN y', 'FROM x', 'MAINTAINER x', 'ONBUILD RUN x', '', 'FOO'])('%j is none', (text) => {
    expect(() => parseTrigger(text)).toThrow();
  });
});

function copy(kind: string, sources: string[], destination: string): object {
  return { kind, sources, destination, from: undefined, chown: undefined, chmod: undefined };
}

function health(check: object): object {
  return {
    kind: 'HEALTHCHECK',
    check: { interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0, ...check },
  };
}

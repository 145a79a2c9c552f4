// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles are full of them
import { describe, expect, test } from 'vitest';
import { applyMetadata, type MetadataInstruction } from './apply-metadata.ts';
import { expandWord } from './expand.ts';
import { goQuoteList } from './go-quote.ts';
import { parseDockerfile } from './parser.ts';
import { exposedPorts } from './ports.ts';
import { envOf, type RunConfig } from './run-config.ts';
import { isSignal } from './signals.ts';

function apply(text: string, config: RunConfig = {}, cmdSet = false) {
  const instruction = parseDockerfile(Buffer.from(`FROM a\n${text}`)).stages[0]?.instructions[0] as MetadataInstruction;
  const variables = envOf(config);
  const expand = (word: string): string => expandWord(word, variables, '\\');
  return applyMetadata(instruction, { config, cmdSet, escapeChar: '\\', expand, variables });
}

describe('instructions that change the config only', () => {
  test.each<[string, RunConfig, RunConfig, string]>([
    ['ENV a=1 b="x y"', {}, { Env: ['a=1', 'b=x y'] }, 'ENV a=1 b=x y'],
    ['ENV a=2', { Env: ['a=1', 'b=1'] }, { Env: ['a=2', 'b=1'] }, 'ENV a=2'],
    ['ENV a=new b=$a', { Env: ['a=old'] }, { Env: ['a=new', 'b=old'] }, 'ENV a=new b=old'],
    ['ENV PATH=/x:$PATH', { Env: ['PATH=/bin'] }, { Env: ['PATH=/x:/bin'] }, 'ENV PATH=/x:/bin'],
    [
      'LABEL a=1 "b c"=$v',
      { Env: ['v=w'], Labels: { z: '0' } },
      { Env: ['v=w'], Labels: { z: '0', a: '1', 'b c': 'w' } },
      'LABEL a=1 b c=w',
    ],
    ['USER ${u:-nobody}', {}, { User: 'nobody' }, 'USER nobody'],
    ['EXPOSE 443 80/udp', {}, { ExposedPorts: { '443/tcp': {}, '80/udp': {} } }, 'EXPOSE 443 80/udp'],
    ['EXPOSE $p', { Env: ['p=1 2'] }, { Env: ['p=1 2'], ExposedPorts: { '1/tcp': {}, '2/tcp': {} } }, 'EXPOSE 1 2'],
    ['EXPOSE 8000-8002', {}, { ExposedPorts: { '8000/tcp': {}, '8001/tcp': {}, '8002/tcp': {} } }, 'EXPOSE 8000-8002'],
    ['VOLUME /a $v', { Env: ['v=/b'] }, { Env: ['v=/b'], Volumes: { '/a': {}, '/b': {} } }, 'VOLUME [/a /b]'],
    ['SHELL ["/bin/ash", "-ec"]', {}, { Shell: ['/bin/ash', '-ec'] }, 'SHELL [/bin/ash -ec]'],
    ['STOPSIGNAL SIGQUIT', {}, { StopSignal: 'SIGQUIT' }, 'STOPSIGNAL SIGQUIT'],
    ['CMD ["a", "b c"]', {}, { Cmd: ['a', 'b c'] }, 'CMD ["a" "b c"]'],
    ['CMD a b', {}, { Cmd: ['/bin/sh', '-c', 'a b'] }, 'CMD ["/bin/sh" "-c" "a b"]'],
    ['CMD a', { Shell: ['/x', '-y'] }, { Shell: ['/x', '-y'], Cmd: ['/x', '-y', 'a'] }, 'CMD ["/x" "-y" "a"]'],
    ['ENTRYPOINT ["a"]', { Cmd: ['of the base'] }, { Entrypoint: ['a'] }, 'ENTRYPOINT ["a"]'],
    ['ONBUILD RUN x', { OnBuild: ['RUN w'] }, { OnBuild: ['RUN w', 'RUN x'] }, 'ONBUILD RUN x'],
    ['MAINTAINER me', {}, {}, 'MAINTAINER me'],
    ['HEALTHCHECK NONE', {}, { Healthcheck: { Test: ['NONE'] } }, 'HEALTHCHECK {"Test":["NONE"]}'],
    [
      'HEALTHCHECK --interval=5s CMD x',
      {},
      { Healthcheck: { Test: ['CMD-SHELL', 'x'], Interval: 5e9 } },
      'HEALTHCHECK {"Test":["CMD-SHELL","x"],"Interval":5000000000}',
    ],
  ])('%s', (text, before, after, comment) => {
    expect(apply(text, before)).toMatchObject({ config: after, comment });
    expect(apply(text, before).config).toEqual(after);
  });

  test('a CMD of the same stage survives a later ENTRYPOINT', () => {
    expect(apply('ENTRYPOINT ["a"]', { Cmd: ['b'] }, true).config).toEqual({ Entrypoint: ['a'], Cmd: ['b'] });
  });

  test.each([
    ['EXPOSE x', 'invalid containerPort: x'],
    ['EXPOSE 80/foo', 'invalid containerPort: 80/foo'],
    ['EXPOSE 70000', 'invalid containerPort'],
    ['STOPSIGNAL FOO', 'invalid signal: FOO'],
    ['VOLUME $unset', 'can not be an empty string'],
  ])('%s is refused', (text, want) => {
    expect(() => apply(text)).toThrow(want);
  });
});

test.each([
  ['TERM', true],
  ['SIGKILL', true],
  ['sigint', true],
  ['9', true],
  ['64', true],
  ['RTMIN+3', true],
  ['0', false],
  ['65', false],
  ['SIGFOO', false],
  ['RTMIN+16', false],
  ['', false],
])('signal %s: %s', (text, want) => {
  expect(isSignal(text)).toBe(want);
});

test('ports of a range', () => {
  expect(exposedPorts('1-3/udp')).toEqual(['1/udp', '2/udp', '3/udp']);
  expect(() => exposedPorts('3-1')).toThrow('invalid containerPort');
});

test('lists are quoted like Go does', () => {
  expect(goQuoteList(['a b', 'c"d', 'e\\f', 'g\nh', '\u0001ü'])).toBe('["a b" "c\\"d" "e\\\\f" "g\\nh" "\\x01ü"]');
});

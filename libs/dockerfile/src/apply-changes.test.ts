import { describe, expect, test } from 'vitest';
import { applyChanges } from './apply-changes.ts';
import type { RunConfig } from './run-config.ts';

const BASE: RunConfig = { Env: ['PATH=/bin'], Cmd: ['sh'], WorkingDir: '/srv' };

describe('a change of a config', () => {
  test.each<[string, readonly string[], Partial<RunConfig>]>([
    ['none', [], {}],
    ['blank', ['', '  '], {}],
    ['CMD in shell form', ['CMD echo hi'], { Cmd: ['/bin/sh', '-c', 'echo hi'] }],
    ['CMD in exec form', ['CMD ["a", "b c"]'], { Cmd: ['a', 'b c'] }],
    [
      'ENTRYPOINT keeps a CMD given before',
      ['CMD x', 'ENTRYPOINT ["e"]'],
      { Cmd: ['/bin/sh', '-c', 'x'], Entrypoint: ['e'] },
    ],
    ['ENV with a variable of the config', ['ENV PATH=/x:$PATH', 'ENV A "b c"'], { Env: ['PATH=/x:/bin', 'A=b c'] }],
    ['EXPOSE', ['EXPOSE 80 53/udp'], { ExposedPorts: { '80/tcp': {}, '53/udp': {} } }],
    ['HEALTHCHECK', ['HEALTHCHECK --retries=2 CMD true'], { Healthcheck: { Test: ['CMD-SHELL', 'true'], Retries: 2 } }],
    ['LABEL', ['LABEL a=b c="d e"'], { Labels: { a: 'b', c: 'd e' } }],
    ['ONBUILD', ['ONBUILD RUN true'], { OnBuild: ['RUN true'] }],
    ['STOPSIGNAL', ['STOPSIGNAL SIGQUIT'], { StopSignal: 'SIGQUIT' }],
    ['USER, in small letters', ['user www'], { User: 'www' }],
    ['VOLUME', ['VOLUME /a'], { Volumes: { '/a': {} } }],
    ['WORKDIR below the present one', ['WORKDIR a', 'WORKDIR ../b'], { WorkingDir: '/srv/b' }],
    ['a comment and a line that goes on', ['# why', 'LABEL a=b \\\n c=d'], { Labels: { a: 'b', c: 'd' } }],
  ])('%s', (_name, changes, want) => {
    expect(applyChanges(BASE, changes)).toEqual({ ...BASE, ...want });
  });

  test('ENTRYPOINT alone drops the command', () => {
    expect(applyChanges(BASE, ['ENTRYPOINT ["e"]'])).toEqual({ Env: BASE.Env, WorkingDir: '/srv', Entrypoint: ['e'] });
  });

  test.each(['RUN true', 'COPY a b', 'FROM x', 'SHELL ["a"]', 'ARG x', 'MAINTAINER me', 'nonsense'])(
    '%s is refused by name',
    (change) => {
      expect(() => applyChanges(BASE, ['LABEL a=b', change])).toThrow('is not a valid change command');
    },
  );

  test('a malformed one is refused with its line', () => {
    expect(() => applyChanges(BASE, ['LABEL a=b', 'STOPSIGNAL'])).toThrow('line 2');
  });
});

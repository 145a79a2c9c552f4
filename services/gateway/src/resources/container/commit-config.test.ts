import type { RunConfig } from '@atoll/dockerfile';
import { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { type CommitConfig, committedConfig } from './commit-config.ts';
import type { ContainerView } from './container-view.ts';

function view(spec: Parameters<typeof containerV1.ContainerSpec.fromPartial>[0]): ContainerView {
  const record = containerV1.ContainerRecord.fromPartial({ id: 'a'.repeat(64), spec });
  return {
    record,
    spec: record.spec ?? containerV1.ContainerSpec.fromPartial({}),
    status: undefined,
    node: undefined,
  };
}

const CONTAINER = view({
  process: { entrypoint: ['/init'], cmd: ['serve'], env: ['PATH=/bin'], cwd: '/srv', user: 'www' },
  network: { exposedPorts: ['80/tcp'] },
  declaredVolumes: ['/data'],
  labels: { tier: 'web', 'atoll.constraints': 'node.hostname==h2' },
  stopSignal: 'SIGQUIT',
});
const OWN: RunConfig = {
  Entrypoint: ['/init'],
  Cmd: ['serve'],
  Env: ['PATH=/bin'],
  WorkingDir: '/srv',
  User: 'www',
  ExposedPorts: { '80/tcp': {} },
  Volumes: { '/data': {} },
  Labels: { tier: 'web' },
  StopSignal: 'SIGQUIT',
};
const without = (...names: (keyof RunConfig)[]): RunConfig =>
  Object.fromEntries(Object.entries(OWN).filter(([name]) => !names.includes(name as keyof RunConfig)));

describe('the config of a committed image', () => {
  test.each<[string, CommitConfig | undefined, readonly string[], RunConfig]>([
    ["the container's own, without its placement", undefined, [], OWN],
    [
      'changed by lines',
      undefined,
      ['ENV PATH=/x:$PATH', 'USER root'],
      { ...OWN, Env: ['PATH=/x:/bin'], User: 'root' },
    ],
    ['a new command keeps the entrypoint', undefined, ['CMD ["work"]'], { ...OWN, Cmd: ['work'] }],
    ['a new entrypoint drops the command', undefined, ['ENTRYPOINT ["e"]'], { ...without('Cmd'), Entrypoint: ['e'] }],
    ['a trigger for builds', undefined, ['ONBUILD RUN true'], { ...OWN, OnBuild: ['RUN true'] }],
    ['a path below the present one', undefined, ['WORKDIR www'], { ...OWN, WorkingDir: '/srv/www' }],
    [
      'given in the body, filled up from the container',
      { User: 'app', Env: ['A=b'], Labels: { own: 'yes' }, ExposedPorts: ['81/tcp'] },
      [],
      {
        ...OWN,
        User: 'app',
        Env: ['A=b', 'PATH=/bin'],
        Labels: { tier: 'web', own: 'yes' },
        ExposedPorts: { '81/tcp': {}, '80/tcp': {} },
      },
    ],
    ['body and lines', { Cmd: ['a'] }, ['ENV A=b'], { ...OWN, Cmd: ['a'], Env: ['A=b', 'PATH=/bin'] }],
    ['shell of the body', { Shell: ['/bin/ash', '-c'] }, [], { ...OWN, Shell: ['/bin/ash', '-c'] }],
  ])('%s', (_name, given, changes, want) => {
    expect(committedConfig(CONTAINER, given, changes)).toEqual(want);
  });

  test('a container that says nothing has an empty one', () => {
    expect(committedConfig(view({}), undefined, [])).toEqual({});
  });

  test('a health check keeps its times, and NONE takes it away', () => {
    const checked = view({ healthcheck: { test: ['CMD', 'true'], interval: 1_000_000_000n, retries: 2n } });
    const Healthcheck = {
      Test: ['CMD', 'true'],
      Interval: 1e9,
      Timeout: 0,
      StartPeriod: 0,
      StartInterval: 0,
      Retries: 2,
    };
    expect(committedConfig(checked, undefined, [])).toEqual({ Healthcheck });
    const none = committedConfig(checked, undefined, ['HEALTHCHECK NONE']);
    expect(none.Healthcheck?.Test).toEqual(['NONE']);
  });
});

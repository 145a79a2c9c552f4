import { reasonOf } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { placeMounts } from './place-mounts.ts';
import { hasSocketMount, markSocketMounts, socketMountPolicy } from './socket-mounts.ts';

const policy = socketMountPolicy('/run/atoll/one/docker.sock', undefined);
const mount = (type: string, source: string, more: object = {}): containerV1.Mount =>
  containerV1.Mount.fromPartial({ type, source, target: '/x', ...more });

describe('a bind of the Docker socket', () => {
  test.each([
    ["docker's", mount('bind', '/var/run/docker.sock'), true],
    ["docker's, without the link", mount('bind', '/run/docker.sock', { readOnly: true }), true],
    ["the cluster's own", mount('bind', '/run/atoll/one/docker.sock'), true],
    [
      'taken over from another container',
      mount('bind', '/var/run/docker.sock', { apiSocket: true, inherited: true }),
      true,
    ],
    ["another cluster's", mount('bind', '/run/atoll/two/docker.sock'), false],
    ['its folder', mount('bind', '/var/run'), false],
    ['a volume of that name', mount('volume', '/var/run/docker.sock'), false],
  ])('%s', (_name, one, expected) => {
    markSocketMounts([one], policy);
    expect(one.apiSocket).toBe(expected);
    expect(hasSocketMount({ mounts: [one] })).toBe(expected);
  });

  test('ties a container to no host', () => {
    const mounts = [mount('bind', '/var/run/docker.sock')];
    const lookup = { nodeCount: () => 3, volumeHome: () => undefined };
    const spec = containerV1.ContainerSpec.fromPartial({ mounts });
    expect(() => placeMounts(spec, lookup)).toThrow('belongs to one host');
    markSocketMounts(spec.mounts, policy);
    expect(placeMounts(spec, lookup)).toEqual([]);
    spec.mounts.push(mount('bind', '/etc'));
    expect(() => placeMounts(spec, lookup)).toThrow('bind mount "/etc" belongs to one host');
  });

  test('is refused where the cluster says so, and nothing else is', () => {
    const refusing = socketMountPolicy('/run/atoll/one/docker.sock', 'not in this cluster');
    markSocketMounts([mount('bind', '/etc'), mount('volume', 'data')], refusing);
    for (const more of [{}, { apiSocket: true, inherited: true }]) {
      let error: unknown;
      try {
        markSocketMounts([mount('bind', '/var/run/docker.sock', more)], refusing);
      } catch (thrown) {
        error = thrown;
      }
      expect(reasonOf(error)).toBe('permission-denied');
      expect((error as Error).message).toBe('bind mount "/var/run/docker.sock" is refused: not in this cluster');
    }
  });
});

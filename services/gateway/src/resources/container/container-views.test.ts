import { containerV1, nodeV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { dockerState, stateObject, statusText } from './container-state.ts';
import type { ContainerView } from './container-view.ts';
import { keepAddressesHere, publishedPorts } from './gateway-addresses.ts';
import { inspectObject } from './inspect-view.ts';
import { summaryObject } from './list-view.ts';
import { placeMounts } from './place-mounts.ts';

const { ContainerState } = containerV1;
const SECOND = 1_000_000_000n;
const NOW_MS = 1_700_000_000_000;
const NOW = BigInt(NOW_MS) * 1_000_000n;

interface Parts {
  readonly record?: object;
  readonly spec?: object;
  readonly status?: object;
}

function view({ record = {}, spec = {}, status }: Parts): ContainerView {
  const made = containerV1.ContainerSpec.fromPartial({ name: 'web', ...spec });
  return {
    record: containerV1.ContainerRecord.fromPartial({
      id: 'a'.repeat(64),
      nodeId: 'n1',
      createdAtNs: NOW,
      ...record,
      spec: made,
    }),
    spec: made,
    status: status && containerV1.ContainerStatus.fromPartial({ nodeId: 'n1', ...status }),
    node: nodeV1.NodeRecord.fromPartial({ id: 'n1', facts: { hostname: 'h1', hostIp: '10.0.0.1' } }),
  };
}

describe('state and status text', () => {
  const ran = { startedAtNs: NOW - 300n * SECOND, finishedAtNs: NOW - 3n * SECOND };
  test.each<[string, Parts, string, string]>([
    ['never reported', {}, 'created', 'Created'],
    ['created', { status: { state: ContainerState.CREATED } }, 'created', 'Created'],
    ['running', { status: { state: ContainerState.RUNNING, ...ran } }, 'running', 'Up 5 minutes'],
    [
      'healthy',
      { status: { state: ContainerState.RUNNING, health: 'healthy', ...ran } },
      'running',
      'Up 5 minutes (healthy)',
    ],
    [
      'health unknown',
      { status: { state: ContainerState.RUNNING, health: 'starting', ...ran } },
      'running',
      'Up 5 minutes (health: starting)',
    ],
    ['paused', { status: { state: ContainerState.PAUSED, ...ran } }, 'paused', 'Up 5 minutes (Paused)'],
    ['exited', { status: { state: ContainerState.EXITED, exitCode: 2, ...ran } }, 'exited', 'Exited (2) 3 seconds ago'],
    [
      'restarting',
      { status: { state: ContainerState.RESTARTING, exitCode: 1, ...ran } },
      'restarting',
      'Restarting (1) 3 seconds ago',
    ],
    ['dead', { status: { state: ContainerState.DEAD } }, 'dead', 'Dead'],
    [
      'host lost',
      { record: { lostReason: 'host h1 is gone' }, status: { state: ContainerState.RUNNING } },
      'dead',
      'Dead (host lost)',
    ],
    [
      'placed anew',
      { record: { placements: 1, nodeId: 'n2' }, status: { state: ContainerState.RUNNING } },
      'restarting',
      'Restarting (on another host)',
    ],
  ])('%s', (_name, parts, state, text) => {
    expect(dockerState(view(parts))).toBe(state);
    expect(statusText(view(parts), NOW_MS)).toBe(text);
  });
  test('a lost host is told in State.Error', () => {
    expect(stateObject(view({ record: { lostReason: 'host h1 is gone' } }), undefined)).toMatchObject({
      Error: 'host h1 is gone',
      Dead: true,
    });
  });
});

describe('health in inspect', () => {
  const healthcheck = { test: ['CMD', 'true'] };
  const running = { state: ContainerState.RUNNING, startedAtNs: NOW, health: 'unhealthy' };
  const probe = { startNs: NOW, endNs: NOW + SECOND / 2n, exitCode: 1, output: 'no\n' };

  test('has the last probes and the failures in a row', () => {
    const state = stateObject(view({ spec: { healthcheck }, status: running }), { failingStreak: 4, log: [probe] });
    expect(state['Health']).toEqual({
      Status: 'unhealthy',
      FailingStreak: 4,
      Log: [{ Start: '2023-11-14T22:13:20Z', End: '2023-11-14T22:13:20.5Z', ExitCode: 1, Output: 'no\n' }],
    });
  });

  test('is what the cluster knows when the host does not answer', () => {
    const state = stateObject(view({ spec: { healthcheck }, status: running }), undefined);
    expect(state['Health']).toEqual({ Status: 'unhealthy', FailingStreak: 0, Log: [] });
  });

  test.each<[string, Parts]>([
    ['no check', { status: running }],
    ['a check that is switched off', { spec: { healthcheck: { test: ['NONE'] } }, status: running }],
    ['a container that was never started', { spec: { healthcheck }, status: { state: ContainerState.CREATED } }],
  ])('is absent for %s', (_name, parts) => {
    expect(stateObject(view(parts), undefined)).not.toHaveProperty('Health');
  });
});

test('the list shows ports, names, labels and the host', () => {
  const shown = summaryObject(
    view({
      spec: {
        image: { reference: 'busybox', imageId: 'sha256:1' },
        process: { entrypoint: ['sh', '-c'], cmd: ['echo a'] },
        network: { exposedPorts: ['80/tcp', '81/tcp'] },
        labels: { a: 'b' },
      },
      record: { ports: [{ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 8080 }] },
      status: { state: ContainerState.RUNNING },
    }),
    NOW_MS,
    undefined,
  );
  expect(shown).toMatchObject({
    Names: ['/web'],
    Image: 'busybox',
    ImageID: 'sha256:1',
    Command: "sh -c 'echo a'",
    Labels: { a: 'b', 'atoll.node': 'h1' },
    Ports: [
      { IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' },
      { PrivatePort: 81, Type: 'tcp' },
    ],
    HostConfig: { NetworkMode: 'bridge' },
  });
});

test('inspect has every part, the node too', () => {
  const shown = inspectObject(
    view({
      status: {
        state: ContainerState.RUNNING,
        ipAddress: '10.1.0.2',
        processLabel: 'u:r:container_t:s0:c1,c2',
        mountLabel: 'u:object_r:container_file_t:s0:c1,c2',
      },
    }),
    undefined,
    undefined,
  );
  expect(shown).toMatchObject({
    Name: '/web',
    ProcessLabel: 'u:r:container_t:s0:c1,c2',
    MountLabel: 'u:object_r:container_file_t:s0:c1,c2',
    State: { Status: 'running' },
    NetworkSettings: { IPAddress: '10.1.0.2', Networks: { bridge: { IPAddress: '10.1.0.2' } } },
    HostConfig: { NetworkMode: 'bridge', RestartPolicy: { Name: 'no' } },
    Node: { ID: 'n1', Name: 'h1', IP: '10.0.0.1' },
  });
});

test.each(['192.0.2.1', '', '0.0.0.0'])('address %j is left to the hosts', (hostIp) => {
  const { spec } = view({ spec: { network: { ports: [{ containerPort: 80, hostIp }] } } });
  expect(keepAddressesHere(spec, (address) => address === '192.0.2.1')).toEqual(spec);
});

test('an sctp port on an address of the gateway is refused', () => {
  const { spec } = view({
    spec: { network: { ports: [{ containerPort: 80, protocol: 'sctp', hostIp: '127.0.0.1' }] } },
  });
  expect(() => keepAddressesHere(spec, () => false)).toThrow(/sctp port on 127\.0\.0\.1/);
});

test('an address asked for is kept here and not asked of the host', () => {
  const asked = view({
    spec: { network: { ports: [{ containerPort: 80, protocol: 'tcp', hostIp: '127.0.0.1', hostPort: 0 }] } },
  });
  const spec = keepAddressesHere(asked.spec, () => false);
  const [kept] = spec.network?.ports ?? [];
  expect(kept).toMatchObject({ hostIp: '', hostOnly: true, gatewayIp: '127.0.0.1' });
  const ports = [{ hostPort: 4000, ...kept }, { hostPort: 4001 }].map((one) =>
    containerV1.PortBinding.fromPartial(one),
  );
  const placed = { ...asked, spec, record: { ...asked.record, ports } };
  expect(publishedPorts(placed).map((port) => port.hostIp)).toEqual(['127.0.0.1', '']);
});

describe('mounts choose a host', () => {
  const bind = containerV1.ContainerSpec.fromPartial({ mounts: [{ type: 'bind', source: '/a', target: '/b' }] });
  const volume = containerV1.ContainerSpec.fromPartial({ mounts: [{ type: 'volume', source: 'data', target: '/b' }] });
  const cluster = (nodes: number, home?: string): Parameters<typeof placeMounts>[1] => ({
    nodeCount: () => nodes,
    volumeHome: () => home,
  });
  test('one host: as docker', () => {
    expect(placeMounts(bind, cluster(1))).toEqual([]);
  });
  test('a volume is left to the scheduler', () => {
    expect(placeMounts(volume, cluster(3))).toEqual([]);
  });
  test('a bind mount may go where a volume is', () => {
    const both = { ...bind, mounts: [...bind.mounts, ...volume.mounts] };
    expect(placeMounts(both, cluster(3, 'n1'))).toEqual([]);
  });
  test('a constraint to one host will do', () => {
    expect(placeMounts({ ...bind, constraints: ['node.hostname==h1'] }, cluster(3))).toEqual([]);
  });
  test('a bind mount alone is refused', () => {
    expect(() => placeMounts(bind, cluster(3))).toThrow('bind mount "/a" belongs to one host');
  });
});

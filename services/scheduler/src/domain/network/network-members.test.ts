import { containerV1, networkV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { type MemberHost, membersOf, NetworkMembers } from './network-members.ts';

const ID = 'ab'.repeat(32);
const member = (containerId: string, nodeId: string, more: Partial<networkV1.Member> = {}): networkV1.Member => ({
  containerId,
  nodeId,
  hostIp: '',
  ipv4Address: '10.0.0.2',
  ipv6Address: '',
  macAddress: '',
  names: [containerId],
  running: false,
  wireguard: undefined,
  serviceName: '',
  virtualIpv4: '',
  virtualIpv6: '',
  serving: false,
  ...more,
});
const inside = (...entries: [string, networkV1.Member][]): ReadonlyMap<string, networkV1.Member> => new Map(entries);

describe('who is where', () => {
  test('joins, changes, moves and leaves are told once, and the host that is left empty', () => {
    const members = new NetworkMembers();
    const first = member('c1', 'h1');
    expect(members.set('c1', inside(['n1', first]))).toEqual([
      { networkId: 'n1', member: first, moved: true, emptied: undefined },
    ]);
    expect(members.set('c1', inside(['n1', member('c1', 'h1')]))).toEqual([]);
    const running = member('c1', 'h1', { running: true });
    expect(members.set('c1', inside(['n1', running]))).toEqual([
      { networkId: 'n1', member: running, moved: false, emptied: undefined },
    ]);
    members.set('c2', inside(['n1', member('c2', 'h2')], ['n2', member('c2', 'h2')]));
    expect([...members.onHost('h2')]).toEqual(['n1', 'n2']);
    const moved = member('c1', 'h2');
    expect(members.set('c1', inside(['n1', moved]))).toEqual([
      { networkId: 'n1', member: moved, moved: true, emptied: 'h1' },
    ]);
    expect(members.hosts('n1')).toEqual(['h2']);
    expect(members.set('c1', new Map())).toEqual([
      { networkId: 'n1', member: undefined, moved: false, emptied: undefined },
    ]);
    expect(members.set('c2', inside(['n2', member('c2', 'h2')]))).toEqual([
      { networkId: 'n1', member: undefined, moved: false, emptied: 'h2' },
    ]);
    expect([members.of('n1'), members.has('n1', 'h2'), members.has('n2', 'h2')]).toEqual([[], false, true]);
  });

  test('a network that is gone takes its places along', () => {
    const members = new NetworkMembers();
    members.set('c1', inside(['n1', member('c1', 'h1')], ['n2', member('c1', 'h1')]));
    expect(members.forget('n1')).toEqual(['h1']);
    expect(members.set('c1', new Map())).toEqual([{ networkId: 'n2', member: undefined, moved: false, emptied: 'h1' }]);
  });
});

describe('what is told of a container', () => {
  const record = containerV1.ContainerRecord.fromPartial({
    id: ID,
    nodeId: 'h1',
    spec: { name: 'web', network: { hostname: 'www' } },
    endpoints: [{ networkId: 'n1', ipv4Address: '10.0.0.2', asked: { aliases: ['db'] } }],
  });
  const { ContainerState } = containerV1;
  const wireguard = { publicKey: 'key', port: 7475 };
  const host: MemberHost = { ip: '192.0.2.1', wireguard, isEncrypted: (networkId) => networkId === 'n2' };
  const status = (state: containerV1.ContainerState, nodeId = 'h1') =>
    containerV1.ContainerStatus.fromPartial({ id: ID, nodeId, state });

  test.each([
    ['created', status(ContainerState.CREATED), false],
    ['running', status(ContainerState.RUNNING), true],
    ['paused', status(ContainerState.PAUSED), true],
    ['between two runs', status(ContainerState.RESTARTING), false],
    ['on a lost host', status(ContainerState.LOST), false],
    ['running where it was before', status(ContainerState.RUNNING, 'h2'), false],
    ['nothing known', undefined, false],
  ])('%s', (_name, seen, running) => {
    const told = membersOf(record, seen, host).get('n1');
    expect(told).toMatchObject({ hostIp: '192.0.2.1', names: ['web', 'db', ID.slice(0, 12), 'www'], running });
  });

  test('the key of its host, in encrypted networks only', () => {
    const endpoints = ['n1', 'n2'].map((networkId) => networkV1.Endpoint.fromPartial({ networkId }));
    const told = membersOf({ ...record, endpoints }, undefined, host);
    expect([told.get('n1')?.wireguard, told.get('n2')?.wireguard]).toEqual([undefined, wireguard]);
  });

  const served = {
    ...record,
    endpoints: [
      networkV1.Endpoint.fromPartial({
        networkId: 'n1',
        serviceName: 'web',
        virtualIpv4: '10.0.0.9',
        virtualIpv6: '::9',
      }),
    ],
  };
  test.each<[string, containerV1.ContainerState, string, boolean]>([
    ['running, without a check', ContainerState.RUNNING, '', true],
    ['found healthy', ContainerState.RUNNING, 'healthy', true],
    ['not checked yet', ContainerState.RUNNING, 'starting', false],
    ['found unhealthy', ContainerState.RUNNING, 'unhealthy', false],
    ['paused', ContainerState.PAUSED, 'healthy', false],
    ['between two runs', ContainerState.RESTARTING, '', false],
  ])('a service with a container that is %s', (_name, state, health, serving) => {
    const seen = { ...status(state), health };
    expect(membersOf(served, seen, host).get('n1')).toMatchObject({
      serviceName: 'web',
      virtualIpv4: '10.0.0.9',
      virtualIpv6: '::9',
      serving,
    });
    expect(membersOf(record, seen, host).get('n1')).toMatchObject({ serviceName: '', serving: false });
  });

  test.each<[string, Partial<networkV1.Member>]>([
    ['serves', { serving: true }],
    ['is of another service', { serviceName: 'api' }],
    ['has another address', { virtualIpv4: '10.0.0.8' }],
    ['has an IPv6 address', { virtualIpv6: '::8' }],
  ])('a member that now %s is told of', (_name, change) => {
    const members = new NetworkMembers();
    members.set('c1', inside(['n1', member('c1', 'h1')]));
    expect(members.set('c1', inside(['n1', member('c1', 'h1', change)]))).toHaveLength(1);
  });

  test('nothing once it is being removed', () => {
    const gone = { ...record, desired: containerV1.DesiredState.REMOVED };
    expect(membersOf(gone, status(ContainerState.RUNNING), host).size).toBe(0);
    expect(membersOf(undefined, undefined, host).size).toBe(0);
  });
});

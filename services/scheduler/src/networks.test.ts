import { failedPrecondition } from '@atoll/errors';
import { type containerV1, networkV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DesiredView } from './testing/desired-view.ts';
import {
  createContainer,
  createNetwork,
  newContainerId,
  startTestCluster,
  type TestCluster,
  until,
  watchDesired,
} from './testing/index.ts';

let cluster: TestCluster;
let view: DesiredView;
let refuseConnect = false;
beforeAll(async () => {
  cluster = await startTestCluster({ agents: 2 });
  await cluster.addAgent('h3', {
    onOrder: ({ action }) => {
      if (refuseConnect && action === nodeV1.Action.CONNECT) throw failedPrecondition('no room for a link');
    },
  });
  view = await watchDesired(cluster.nats.url);
});
afterAll(async () => {
  await view.close();
  await cluster.stop();
});

type Spec = Parameters<typeof networkV1.EndpointSpec.fromPartial>[0];
const nets = () => cluster.leader.networks;
const on = (host: string, network: string, endpoint: Spec = {}) =>
  createContainer(cluster.leader, {
    constraints: [`node.hostname==${host}`],
    network: { mode: network, endpoints: [{ network, ...endpoint }] },
  });
const plain = (host: string, mode = 'default') =>
  createContainer(cluster.leader, { constraints: [`node.hostname==${host}`], network: { mode } });
const start = (id: string) => cluster.leader.containers.startContainer({ id });
const remove = ({ id }: { id: string }) =>
  cluster.leader.containers.removeContainer({ id, force: true, volumes: false });
const connect = (network: networkV1.NetworkRecord, { id }: { id: string }, endpoint: Spec = {}) =>
  nets().connectContainer({
    networkId: network.id,
    containerId: id,
    endpoint: networkV1.EndpointSpec.fromPartial(endpoint),
  });
const disconnect = (network: networkV1.NetworkRecord, { id }: { id: string }, force = false) =>
  nets().disconnectContainer({ networkId: network.id, containerId: id, force });
const record = async (id: string, revision: bigint): Promise<containerV1.ContainerRecord> => {
  await until(() => (view.containers.get(id)?.revision ?? 0n) >= revision);
  const found = view.containers.get(id);
  if (!found) throw new Error(`no record ${id}`);
  return found;
};
const agent = (id: string) => {
  const found = cluster.agents.find((one) => one.id === id);
  if (!found) throw new Error(`no agent ${id}`);
  return found;
};

describe('networks', () => {
  test('subnet, gateway and VNI are filled in and durable; the same id twice is the same network', async () => {
    const network = await createNetwork(cluster.leader, { labels: { tier: 'web' }, ipv6: true });
    expect(network.subnets).toMatchObject([
      { cidr: expect.stringMatching(/^10\.2\d\d\.\d+\.0\/22$/), gateway: expect.stringMatching(/\.1$/) },
      { cidr: expect.stringMatching(/^fd.*\/64$/), gateway: expect.stringMatching(/::1$/) },
    ]);
    expect(network.vni).toBeGreaterThan(4_095);
    await until(() => view.networks.get(network.id) !== undefined);
    expect(view.networks.get(network.id)).toEqual(network);
    expect((await nets().createNetwork({ network })).network).toEqual(network);
    const other = await createNetwork(cluster.leader);
    expect(other.vni).not.toBe(network.vni);
    expect(other.subnets[0]?.cidr).not.toBe(network.subnets[0]?.cidr);
  });

  test('of two with one name, or one subnet, at the same time one is refused', async () => {
    const named = await Promise.allSettled([1, 2].map(() => createNetwork(cluster.leader, { name: 'twice' })));
    expect(named.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(named.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { reason: 'already-exists', message: 'network with name twice already exists' },
    });
    const subnets = [{ cidr: '10.77.0.0/16' }];
    const placed = await Promise.allSettled([1, 2].map(() => createNetwork(cluster.leader, { subnets })));
    expect(placed.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(placed.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { reason: 'invalid-argument', message: expect.stringContaining('Pool overlaps') },
    });
  });

  test.each<[string, Parameters<typeof networkV1.NetworkRecord.fromPartial>[0], string, RegExp]>([
    ['no name', { name: '' }, 'invalid-argument', /^Name: .*empty/],
    ['a built-in name', { name: 'host' }, 'permission-denied', /not permitted on predefined host network/],
    ['a slash', { name: 'a/b' }, 'invalid-argument', /^Name: /],
    ['a mode as name', { name: 'container:x' }, 'invalid-argument', /^Name: /],
    ['an unknown driver', { driver: 'weave' }, 'not-found', /could not find plugin weave/],
    ['a second host network', { driver: 'host' }, 'permission-denied', /only one instance of "host"/],
    ['macvlan', { driver: 'macvlan', options: { parent: 'eth0' } }, 'unimplemented', /^Driver: macvlan/],
    [
      'an encrypted overlay',
      { driver: 'overlay', options: { encrypted: '' } },
      'unimplemented',
      /^Options\["encrypted"\]/,
    ],
    ['an unknown option', { options: { colour: 'red' } }, 'invalid-argument', /^Options: "colour"/],
    [
      'an option that is not built',
      { options: { 'com.docker.network.bridge.enable_icc': 'false' } },
      'unimplemented',
      /enable_icc/,
    ],
    [
      'a bad MTU',
      { options: { 'com.docker.network.driver.mtu': 'big' } },
      'invalid-argument',
      /driver\.mtu"\]: want a number/,
    ],
    [
      'an MTU too small for IPv6',
      { ipv6: true, options: { 'com.docker.network.driver.mtu': '1000' } },
      'invalid-argument',
      /1280/,
    ],
    ['a plugin for addresses', { ipamDriver: 'infoblox' }, 'not-found', /infoblox/],
    ['an option of IPAM', { ipamOptions: { a: 'b' } }, 'invalid-argument', /^IPAM\.Options: a=b/],
    ['a scope', { scope: 'global' }, 'invalid-argument', /^Scope: /],
    ["the hosts' blocks", { subnets: [{ cidr: '10.213.9.0/24' }] }, 'invalid-argument', /default bridges of the hosts/],
  ])('%s is refused', async (_name, given, reason, message) => {
    await expect(createNetwork(cluster.leader, given)).rejects.toMatchObject({
      reason,
      message: expect.stringMatching(message),
    });
  });

  test('MTU and plain options are taken', async () => {
    const options = { 'com.docker.network.driver.mtu': '1400', 'com.docker.network.bridge.enable_icc': 'true' };
    expect(await createNetwork(cluster.leader, { options })).toMatchObject({ mtu: 1400, options });
  });

  test('removal: refused while a container runs, not for one that does not; name and subnet are free again', async () => {
    const network = await createNetwork(cluster.leader, { name: 'going', subnets: [{ cidr: '10.78.0.0/16' }] });
    const container = await on('h1', 'going');
    await start(container.id);
    await expect(nets().removeNetwork({ id: network.id })).rejects.toMatchObject({
      reason: 'failed-precondition',
      message: `error while removing network: network going has active endpoints (name:"${container.spec?.name}" id:"${container.id.slice(0, 12)}")`,
    });
    await cluster.leader.containers.stopContainer({ id: container.id, signal: '' });
    await nets().removeNetwork({ id: network.id });
    await expect(nets().removeNetwork({ id: network.id })).rejects.toMatchObject({ reason: 'not-found' });
    await expect(start(container.id)).rejects.toMatchObject({
      reason: 'not-found',
      message: 'failed to set up container networking: network going not found',
    });
    await until(() => agent('h1').networks.members(network.id) === undefined);
    const again = await createNetwork(cluster.leader, { name: 'going', subnets: [{ cidr: '10.78.0.0/16' }] });
    const { record: started } = await start(container.id);
    expect(started?.endpoints).toMatchObject([{ networkId: again.id, ipv4Address: '10.78.0.2' }]);
    await remove(container);
    await nets().removeNetwork({ id: again.id });
  });
});

describe('endpoints', () => {
  test('written with the container: addresses, gateways, MAC and interfaces in order', async () => {
    const one = await createNetwork(cluster.leader, { subnets: [{ cidr: '10.80.0.0/24' }] });
    const two = await createNetwork(cluster.leader, {
      ipv6: true,
      internal: true,
      subnets: [{ cidr: '10.81.0.0/24' }, { cidr: 'fd00:81::/64' }],
    });
    const container = await createContainer(cluster.leader, {
      network: {
        mode: one.name,
        endpoints: [
          { network: one.name, aliases: ['web'] },
          { network: two.id, ipv4Address: '10.81.0.9', ipv6Address: 'FD00:81::9', macAddress: '02-AA-00-00-00-01' },
        ],
      },
    });
    expect(container.endpoints).toMatchObject([
      {
        networkId: one.id,
        ipv4Address: '10.80.0.2',
        ipv4PrefixLength: 24,
        ipv4Gateway: '10.80.0.1',
        ipv6Address: '',
        macAddress: '02:42:0a:50:00:02',
        interfaceName: 'eth0',
        asked: { network: one.name, aliases: ['web'] },
      },
      {
        networkId: two.id,
        ipv4Address: '10.81.0.9',
        ipv4Gateway: '',
        ipv6Address: 'fd00:81::9',
        ipv6PrefixLength: 64,
        macAddress: '02:aa:00:00:00:01',
        interfaceName: 'eth1',
        asked: { network: two.name },
      },
    ]);
    expect(await record(container.id, container.revision)).toEqual(container);
  });

  test('beside the default bridge the first interface is eth1; IPv6 alone has a MAC, too', async () => {
    const network = await createNetwork(cluster.leader, {
      ipv4: false,
      ipv6: true,
      subnets: [{ cidr: 'fd00:82::/64' }],
    });
    const { endpoints } = await createContainer(cluster.leader, {
      network: { mode: 'bridge', endpoints: [{ network: network.id }] },
    });
    expect(endpoints).toMatchObject([
      { ipv4Address: '', ipv6Address: 'fd00:82::2', macAddress: '02:42:00:00:00:02', interfaceName: 'eth1' },
    ]);
  });

  test.each<[string, object, string, RegExp]>([
    [
      'a network that does not exist',
      { endpoints: [{ network: 'nowhere' }] },
      'invalid-argument',
      /^network nowhere not found$/,
    ],
    ['a mode that is no network', { mode: 'nowhere' }, 'invalid-argument', /^network nowhere not found$/],
    [
      'a network twice',
      { endpoints: [{ network: 'bad' }, { network: 'bad' }] },
      'invalid-argument',
      /network bad is named twice/,
    ],
    [
      "the host's stack",
      { mode: 'host', endpoints: [{ network: 'bad' }] },
      'invalid-argument',
      /connected to host network/,
    ],
    ['no network', { mode: 'none', endpoints: [{ network: 'bad' }] }, 'invalid-argument', /private \(none\) mode/],
    [
      "another's network",
      { mode: `container:${'f'.repeat(64)}`, endpoints: [{ network: 'bad' }] },
      'invalid-argument',
      /sharing network namespace/,
    ],
    [
      'networks switched off',
      { networkDisabled: true, endpoints: [{ network: 'bad' }] },
      'invalid-argument',
      /NetworkDisabled/,
    ],
    [
      'an address that is none',
      { endpoints: [{ network: 'bad', ipv4Address: '10.83' }] },
      'invalid-argument',
      /\["bad"\]\.IPAMConfig\.IPv4Address: invalid IPv4 address: 10\.83/,
    ],
    [
      'an address outside',
      { endpoints: [{ network: 'bad', ipv4Address: '10.84.0.2' }] },
      'invalid-argument',
      /no configured subnet contains IP address 10\.84\.0\.2/,
    ],
    [
      'IPv6 where there is none',
      { endpoints: [{ network: 'bad', ipv6Address: 'fd00::2' }] },
      'invalid-argument',
      /no configured subnet contains/,
    ],
    [
      'the gateway',
      { endpoints: [{ network: 'bad', ipv4Address: '10.83.0.1' }] },
      'invalid-argument',
      /it is its gateway/,
    ],
    [
      'an address in use',
      { endpoints: [{ network: 'bad', ipv4Address: '10.83.0.77' }] },
      'conflict',
      /Address already in use: 10\.83\.0\.77/,
    ],
    [
      'a MAC address in use',
      { endpoints: [{ network: 'bad', macAddress: '02:42:0a:53:00:4d' }] },
      'conflict',
      /MacAddress: .* in use/,
    ],
    [
      'a MAC address that is none',
      { endpoints: [{ network: 'bad', macAddress: '02:42' }] },
      'invalid-argument',
      /MacAddress: "02:42"/,
    ],
    [
      'a MAC address of a group',
      { endpoints: [{ network: 'bad', macAddress: '01:00:5e:00:00:01' }] },
      'invalid-argument',
      /group/,
    ],
    [
      'an alias with a space',
      { endpoints: [{ network: 'bad', aliases: ['a b'] }] },
      'invalid-argument',
      /Aliases: "a b"/,
    ],
    [
      'a link-local address that is none',
      { endpoints: [{ network: 'bad', linkLocalIps: ['x'] }] },
      'invalid-argument',
      /invalid link-local IP address: x/,
    ],
    [
      'a driver option',
      { endpoints: [{ network: 'bad', driverOpts: { a: 'b' } }] },
      'unimplemented',
      /DriverOpts: a is not built/,
    ],
  ])('%s is refused', async (_name, network, reason, message) => {
    if (![...view.networks.values()].some(({ name }) => name === 'bad')) {
      await createNetwork(cluster.leader, { name: 'bad', subnets: [{ cidr: '10.83.0.0/24' }] });
      await on('h1', 'bad', { ipv4Address: '10.83.0.77' });
    }
    await expect(createContainer(cluster.leader, { network })).rejects.toMatchObject({
      reason,
      message: expect.stringMatching(message),
    });
  });

  test('all addresses given: refused, and an address comes back with its container', async () => {
    const network = await createNetwork(cluster.leader, { subnets: [{ cidr: '10.85.0.0/29' }] });
    const containers = await Promise.all(Array.from({ length: 5 }, () => on('h1', network.name)));
    expect(containers.map(({ endpoints }) => endpoints[0]?.ipv4Address).sort()).toEqual([
      ...['10.85.0.2', '10.85.0.3', '10.85.0.4', '10.85.0.5', '10.85.0.6'],
    ]);
    await expect(on('h1', network.name)).rejects.toMatchObject({
      reason: 'resource-exhausted',
      message: `no available IPv4 addresses on this network's address pools: ${network.name} (${network.id})`,
    });
    const gone = containers[2];
    if (gone) await remove(gone);
    expect((await on('h2', network.name)).endpoints[0]?.ipv4Address).toBe(gone?.endpoints[0]?.ipv4Address);
  });

  test('a chosen name of an interface', async () => {
    const network = await createNetwork(cluster.leader);
    const ifname = (name: string) => ({ driverOpts: { 'com.docker.network.endpoint.ifname': name } });
    expect((await on('h1', network.name, ifname('lan'))).endpoints[0]?.interfaceName).toBe('lan');
    for (const wrong of ['lo', 'eth7', 'a/b', 'sixteen-letters-']) {
      await expect(on('h1', network.name, ifname(wrong))).rejects.toMatchObject({ reason: 'invalid-argument' });
    }
  });
});

describe('connect and disconnect', () => {
  test('a stopped container: the record only', async () => {
    const network = await createNetwork(cluster.leader, { subnets: [{ cidr: '10.86.0.0/24' }] });
    const container = await plain('h1');
    const { revision } = await connect(network, container, { aliases: ['db'] });
    expect(await record(container.id, revision)).toMatchObject({
      generation: 2n,
      endpoints: [
        { networkId: network.id, ipv4Address: '10.86.0.2', interfaceName: 'eth1', asked: { aliases: ['db'] } },
      ],
    });
    await expect(connect(network, container)).rejects.toMatchObject({
      reason: 'permission-denied',
      message: `endpoint with name ${container.spec?.name} already exists in network ${network.name}`,
    });
    expect(agent('h1').containers.journal).not.toContain(`CONNECT ${container.id}`);
    const after = await disconnect(network, container);
    expect((await record(container.id, after.revision)).endpoints).toEqual([]);
    await expect(disconnect(network, container)).rejects.toMatchObject({
      message: `container ${container.id} is not connected to network ${network.name}`,
    });
  });

  test('a running container: the host is told, and interfaces keep their names', async () => {
    const networks = [
      await createNetwork(cluster.leader),
      await createNetwork(cluster.leader),
      await createNetwork(cluster.leader),
    ];
    const [one, two, three] = networks as [networkV1.NetworkRecord, networkV1.NetworkRecord, networkV1.NetworkRecord];
    const container = await plain('h2');
    await start(container.id);
    await connect(one, container);
    await connect(two, container);
    await disconnect(one, container);
    const { revision } = await connect(three, container);
    const { endpoints } = await record(container.id, revision);
    expect(endpoints.map(({ networkId, interfaceName }) => [networkId, interfaceName])).toEqual([
      [two.id, 'eth2'],
      [three.id, 'eth1'],
    ]);
    expect(agent('h2').containers.journal.filter((line) => line === `CONNECT ${container.id}`)).toHaveLength(4);
    await until(() => agent('h2').networks.members(one.id) === undefined);
  });

  test('what the host refuses is put back', async () => {
    const network = await createNetwork(cluster.leader, { subnets: [{ cidr: '10.87.0.0/24' }] });
    const container = await plain('h3');
    await start(container.id);
    refuseConnect = true;
    try {
      await expect(connect(network, container)).rejects.toMatchObject({ message: 'no room for a link' });
      await until(() => view.containers.get(container.id)?.endpoints.length === 0);
      refuseConnect = false;
      await connect(network, container, { ipv4Address: '10.87.0.2' });
      refuseConnect = true;
      await expect(disconnect(network, container)).rejects.toMatchObject({ message: 'no room for a link' });
      await until(() => view.containers.get(container.id)?.endpoints.length === 1);
      await expect(on('h1', network.name, { ipv4Address: '10.87.0.2' })).rejects.toMatchObject({ reason: 'conflict' });
    } finally {
      refuseConnect = false;
    }
    await remove(container);
  });

  test.each(['host', 'none'])('mode %s is refused', async (mode) => {
    const network = await createNetwork(cluster.leader);
    await expect(connect(network, await plain('h1', mode))).rejects.toMatchObject({ reason: 'invalid-argument' });
  });

  test('what does not exist', async () => {
    const network = await createNetwork(cluster.leader);
    const container = await plain('h1');
    await expect(connect({ ...network, id: 'f00' }, container)).rejects.toMatchObject({ reason: 'not-found' });
    const nobody = { id: newContainerId() };
    await expect(connect(network, nobody)).rejects.toMatchObject({ message: `No such container: ${nobody.id}` });
    await expect(disconnect(network, nobody, true)).rejects.toMatchObject({
      message: `No such container: ${nobody.id}`,
    });
  });
});

describe('what hosts are told', () => {
  test('all of a network before the first order, then changes, then that it is unused', async () => {
    const network = await createNetwork(cluster.leader, { subnets: [{ cidr: '10.88.0.0/24' }] });
    const line = (host: string) => agent(host).networks.journal.filter((entry) => entry.includes(network.id));
    const a = await on('h1', network.name, { aliases: ['web'] });
    const b = await on('h2', network.name);
    await until(() => line('h1').length === 2 && line('h2').length === 1);
    expect(line('h1')).toEqual([`all ${network.id} 1`, `change ${network.id} 1 0`]);
    expect(line('h2')).toEqual([`all ${network.id} 2`]);
    expect(line('h3')).toEqual([]);
    const short = a.id.slice(0, 12);
    expect(
      agent('h2')
        .networks.members(network.id)
        ?.find(({ containerId }) => containerId === a.id),
    ).toEqual({
      containerId: a.id,
      nodeId: 'h1',
      hostIp: '127.0.0.1',
      ipv4Address: '10.88.0.2',
      ipv6Address: '',
      macAddress: '02:42:0a:58:00:02',
      names: [a.spec?.name, 'web', short],
      running: false,
    });
    const seen = (host: string, id: string) =>
      agent(host)
        .networks.members(network.id)
        ?.find(({ containerId }) => containerId === id);
    await start(a.id);
    await until(() => seen('h2', a.id)?.running === true);
    await cluster.leader.containers.renameContainer({ id: a.id, name: 'renamed-one' });
    await until(() => seen('h2', a.id)?.names[0] === 'renamed-one');
    agent('h1').exit(a.id, 1);
    await until(() => seen('h2', a.id)?.running === false);
    await remove(a);
    await until(() => seen('h2', a.id) === undefined);
    await until(() => line('h1').at(-1) === `unused ${network.id}`);
    await remove(b);
    await until(() => line('h2').at(-1) === `unused ${network.id}`);
  });

  test('a host that comes back hears of all its networks, and of those it has no member of any more', async () => {
    const networks = [await createNetwork(cluster.leader), await createNetwork(cluster.leader)];
    const [stays, goes] = networks as [networkV1.NetworkRecord, networkV1.NetworkRecord];
    const host = await cluster.addAgent('h4');
    const a = await on('h4', stays.name);
    const b = await on('h4', goes.name);
    const c = await on('h1', stays.name);
    await host.stop();
    await until(async () => {
      const { statuses } = await cluster.leader.nodes.listNodes({});
      return statuses.some(({ id, readiness }) => id === 'h4' && readiness === nodeV1.NodeReadiness.DOWN);
    });
    await cluster.leader.containers.removeContainer({ id: b.id, force: true, volumes: false });
    await remove(c);
    host.start();
    await until(() => host.networks.members(goes.id) === undefined);
    expect(host.networks.members(stays.id)?.map(({ containerId }) => containerId)).toEqual([a.id]);
    await until(() => host.containers.get(b.id) === undefined);
    await remove(a);
    await host.close();
    await cluster.leader.nodes.removeNode({ id: 'h4', force: true });
  });

  test('an address stays with a container that is placed anew, and everybody hears where it is', async () => {
    const network = await createNetwork(cluster.leader);
    const host = await cluster.addAgent('h5');
    const watcher = await on('h1', network.name);
    const moving = await createContainer(cluster.leader, {
      constraints: ['node.hostname!=h1'],
      restartPolicy: { name: 'always', maximumRetryCount: 0 },
      network: { mode: network.name, endpoints: [{ network: network.name }] },
    });
    await start(moving.id);
    await cluster.leader.nodes.updateNode({ id: moving.nodeId, availability: nodeV1.NodeAvailability.DRAIN });
    const member = () =>
      agent('h1')
        .networks.members(network.id)
        ?.find(({ containerId }) => containerId === moving.id);
    await until(() => member()?.nodeId !== moving.nodeId && member()?.running === true);
    expect(member()?.ipv4Address).toBe(moving.endpoints[0]?.ipv4Address);
    await cluster.leader.nodes.updateNode({ id: moving.nodeId, availability: nodeV1.NodeAvailability.ACTIVE });
    for (const one of [moving, watcher]) await remove(one);
    await host.close();
    await cluster.leader.nodes.removeNode({ id: 'h5', force: true });
  });

  test('who has no member of a network hears nothing of it', async () => {
    const network = await createNetwork(cluster.leader);
    const before = agent('h3').networks.journal.length;
    const containers = await Promise.all(Array.from({ length: 5 }, () => on('h1', network.name)));
    for (const container of containers) await remove(container);
    expect(agent('h3').networks.journal.length).toBe(before);
  });
});

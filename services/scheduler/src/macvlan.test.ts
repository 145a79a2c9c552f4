import { containerV1, type networkV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createContainer, createNetwork, NetworkBench, until } from './testing/index.ts';

const parentLinkKinds = ['macvlan'];
let bench: NetworkBench;
const made: string[] = [];

/** h1 and h2 are on eth1, h2 and h3 on eth2; the kernel of h4 makes no such links. */
beforeAll(async () => {
  bench = await NetworkBench.start(0);
  const hosts: [string, object][] = [
    ['h1', { parentLinkKinds, parentInterfaces: ['eth1'], hostIp: '10.80.0.2', onLinkRoutes: ['10.80.0.0/24'] }],
    ['h2', { parentLinkKinds, parentInterfaces: ['eth1', 'eth2', 'eth1.50'], hostIp: '10.80.0.3' }],
    ['h3', { parentLinkKinds, parentInterfaces: ['eth2'] }],
    ['h4', { parentInterfaces: ['eth1', 'eth2'] }],
  ];
  for (const [id, facts] of hosts) await bench.cluster.addAgent(id, { facts });
});
afterAll(() => bench.stop());

type Wish = Parameters<typeof createNetwork>[1];
const subnets = [{ cidr: '10.80.0.0/24', gateway: '10.80.0.1' }];

/** On eth1 unless it says otherwise; removed by `removeNetworks`. */
async function lan(wish: Wish = {}): Promise<networkV1.NetworkRecord> {
  const options = { parent: 'eth1' };
  const network = await createNetwork(bench.cluster.leader, { driver: 'macvlan', options, ...wish });
  made.push(network.id);
  return network;
}

async function factsOf(id: string): Promise<nodeV1.NodeFacts | undefined> {
  const { nodes } = await bench.cluster.leader.nodes.listNodes({});
  return nodes.find((node) => node.id === id)?.facts;
}

async function removeNetworks(): Promise<void> {
  for (const id of made.splice(0)) await bench.cluster.leader.networks.removeNetwork({ id });
}

describe('a macvlan network', () => {
  test("has its parent's own subnet, no VNI, and the gateway it was given", async () => {
    const network = await lan({ subnets });
    expect(network).toMatchObject({ driver: 'macvlan', vni: 0, subnets: [{ ...subnets[0] }] });
    await until(() => bench.view.networks.get(network.id) !== undefined);
    expect(bench.view.networks.get(network.id)).toEqual(network);
    await removeNetworks();
  });

  test('has the first address for its gateway when none is given, an internal one has none', async () => {
    expect(await lan({ subnets: [{ cidr: '10.80.0.0/24' }] })).toMatchObject({ subnets: [{ gateway: '10.80.0.1' }] });
    await removeNetworks();
    const inside = await lan({ internal: true, subnets: [{ cidr: '10.80.0.0/24' }] });
    expect(inside).toMatchObject({ subnets: [{ gateway: '' }] });
    await removeNetworks();
  });

  test('without a subnet gets one that no host is on', async () => {
    const network = await lan({ ipv6: true });
    expect(network.subnets).toMatchObject([
      { cidr: expect.stringMatching(/^10\.2\d\d\.\d+\.0\/22$/), gateway: expect.stringMatching(/\.1$/) },
      { cidr: expect.stringMatching(/^fd.*\/64$/), gateway: expect.stringMatching(/::1$/) },
    ]);
    await removeNetworks();
  });

  test('gives services no address: others on the segment would ask whose it is', async () => {
    const network = await lan({ subnets });
    const spec = { mode: network.name, endpoints: [{ network: network.id }], serviceName: 'web' };
    const container = await createContainer(bench.cluster.leader, { network: spec });
    expect(container.endpoints).toMatchObject([{ serviceName: 'web', virtualIpv4: '', virtualIpv6: '' }]);
    await bench.remove(container);
    await removeNetworks();
  });

  test('can be made from a configuration', async () => {
    const config = { name: 'lan-config', configOnly: true, subnets, options: { parent: 'eth1', macvlan_mode: 'vepa' } };
    const { id } = await createNetwork(bench.cluster.leader, config);
    const from = { driver: 'macvlan', configFrom: 'lan-config' };
    const network = await createNetwork(bench.cluster.leader, from);
    expect(network).toMatchObject({ driver: 'macvlan', options: config.options, vni: 0 });
    await expect(createNetwork(bench.cluster.leader, { ...from, driver: 'bridge' })).rejects.toMatchObject({
      reason: 'invalid-argument',
      message: expect.stringMatching(/^Options: "(parent|macvlan_mode)" is no known option of a bridge network/),
    });
    await bench.cluster.leader.networks.removeNetwork({ id: network.id });
    await bench.cluster.leader.networks.removeNetwork({ id });
  });

  test.each<[string, Wish, string, RegExp]>([
    ['no parent', { options: {} }, 'unimplemented', /^Options\["parent"\]: .* is not built; name one/],
    ['loopback', { options: { parent: 'lo' } }, 'invalid-argument', /^Options\["parent"\]: loopback/],
    ['a path', { options: { parent: '../eth1' } }, 'invalid-argument', /^Options\["parent"\]: "\.\.\/eth1" is no name/],
    [
      'an interface nobody has',
      { options: { parent: 'eth7' } },
      'invalid-argument',
      /^Options\["parent"\]: no host has an interface eth7 .*\(h1: eth1; h2: eth1, eth2, eth1\.50; h3: eth2\)$/,
    ],
    ['a VLAN nobody has', { options: { parent: 'eth1.60' } }, 'invalid-argument', /make eth1\.60 on the hosts first/],
    [
      'an unknown mode',
      { options: { parent: 'eth1', macvlan_mode: 'open' } },
      'invalid-argument',
      /^Options\["macvlan_mode"\]: .*"open" is not valid; want bridge, private, vepa, passthru/,
    ],
    [
      'an unknown option',
      { options: { parent: 'eth1', a: 'b' } },
      'invalid-argument',
      /"a" is no known option of a mac/,
    ],
    [
      "a bridge's option",
      { options: { parent: 'eth1', 'com.docker.network.bridge.enable_icc': 'true' } },
      'invalid-argument',
      /enable_icc" is no known option of a macvlan network/,
    ],
    ["the hosts' blocks", { subnets: [{ cidr: '10.213.9.0/24' }] }, 'invalid-argument', /default bridges of the hosts/],
    ['a mode of another driver', { driver: 'bridge' }, 'invalid-argument', /"parent" is no known option of a bridge/],
  ])('%s is refused', async (_name, wish, reason, message) => {
    await expect(lan(wish)).rejects.toMatchObject({ reason, message: expect.stringMatching(message) });
  });

  test('no two have one subnet, and one of mode passthru has its parent alone', async () => {
    await lan({ name: 'first', subnets });
    await expect(lan({ subnets })).rejects.toMatchObject({ message: expect.stringContaining('of network first') });
    const passthru = { options: { parent: 'eth1', macvlan_mode: 'passthru' } };
    await expect(lan(passthru)).rejects.toMatchObject({
      reason: 'invalid-argument',
      message:
        'Options["macvlan_mode"]: cannot use mode passthru, macvlan network first is already using parent interface eth1',
    });
    await removeNetworks();
    await lan({ name: 'all', ...passthru });
    await expect(lan()).rejects.toMatchObject({
      message: 'Options["parent"]: macvlan network all is already using parent interface eth1 in mode passthru',
    });
    await lan({ options: { parent: 'eth2' } });
    await removeNetworks();
  });
});

describe('a host whose interfaces change', () => {
  test('is told of during its session, and is a place from then on', async () => {
    const parent = { options: { parent: 'eth9' } };
    await expect(lan(parent)).rejects.toMatchObject({
      message: expect.stringContaining('no host has an interface eth9'),
    });
    const agent = bench.agent('h3');
    agent.relink({ parentInterfaces: ['eth2', 'eth8'] });
    agent.relink({ parentInterfaces: ['eth2', 'eth9'], onLinkRoutes: ['10.85.0.0/24'] });
    await expect
      .poll(() => factsOf('h3'))
      .toMatchObject({
        hostname: 'h3',
        parentInterfaces: ['eth2', 'eth9'],
        onLinkRoutes: ['10.85.0.0/24'],
        parentLinkKinds,
      });
    await lan({ ...parent, name: 'late' });
    await expect(createNetwork(bench.cluster.leader, { subnets: [{ cidr: '10.85.0.0/16' }] })).rejects.toMatchObject({
      message: expect.stringContaining('10.85.0.0/24 of a route of host h3'),
    });
    const endpoints = [{ network: 'late' }];
    const container = await createContainer(bench.cluster.leader, { network: { mode: 'late', endpoints } });
    expect(container.nodeId).toBe('h3');
    await bench.remove(container);
    agent.relink({ parentInterfaces: ['eth2'] });
    await expect.poll(async () => (await factsOf('h3'))?.parentInterfaces).toEqual(['eth2']);
    await expect(createContainer(bench.cluster.leader, { network: { mode: 'late', endpoints } })).rejects.toMatchObject(
      { message: expect.stringContaining('do not match network late') },
    );
    await removeNetworks();
  });

  test.each([
    ['too many', Array.from({ length: 257 }, (_, at) => `e${at}`)],
    ['too long a name', ['e'.repeat(65)]],
  ])('ends its session with %s', async (_name, parentInterfaces) => {
    const agent = bench.agent('h3');
    const [facts, error] = [await factsOf('h3'), agent.lastError];
    agent.relink({ parentInterfaces });
    await until(() => agent.lastError !== error && /at most 256 routes and int/.test(agent.lastError?.message ?? ''));
    await agent.connected();
    // The next hello says what it said before.
    expect(await factsOf('h3')).toEqual({ ...facts, onLinkRoutes: [] });
  });
});

describe('its containers', () => {
  test('are where the interface and the kernel are, with addresses that no host has', async () => {
    const network = await lan({ name: 'lan', subnets });
    const containers = await Promise.all(
      Array.from({ length: 6 }, () =>
        createContainer(bench.cluster.leader, { network: { mode: 'lan', endpoints: [{ network: 'lan' }] } }),
      ),
    );
    expect(new Set(containers.map(({ nodeId }) => nodeId))).toEqual(new Set(['h1', 'h2']));
    const addresses = containers.map(({ endpoints }) => endpoints[0]?.ipv4Address);
    expect(new Set(addresses).size).toBe(6);
    expect(addresses).not.toContain('10.80.0.2');
    expect(addresses).not.toContain('10.80.0.3');
    expect(containers[0]?.endpoints[0]).toMatchObject({ ipv4Gateway: '10.80.0.1', ipv4PrefixLength: 24 });
    for (const container of containers) await bench.remove(container);
    expect(network.id).toBe(made[0]);
    await removeNetworks();
  });

  test.each([
    ['a host', '10.80.0.2', 'is the address of a host'],
    ['the gateway', '10.80.0.1', 'its gateway'],
  ])('do not get the address of %s, asked for', async (_name, ipv4Address, words) => {
    await lan({ name: 'lan', subnets });
    await expect(bench.on('h1', 'lan', { ipv4Address })).rejects.toMatchObject({
      reason: 'invalid-argument',
      message: expect.stringContaining(words),
    });
    await removeNetworks();
  });

  test('of two networks are where both interfaces are; the refusal names network and interface', async () => {
    await lan({ name: 'one' });
    await lan({ name: 'two', options: { parent: 'eth2' } });
    const endpoints = [{ network: 'one' }, { network: 'two' }];
    const both = await createContainer(bench.cluster.leader, { network: { mode: 'one', endpoints } });
    expect(both.nodeId).toBe('h2');
    await bench.remove(both);
    await expect(bench.on('h3', 'one')).rejects.toMatchObject({
      reason: 'failed-precondition',
      message: expect.stringContaining('does not match network one: macvlan links on interface eth1'),
    });
    await removeNetworks();
  });

  test('that exist are connected only on such a host', async () => {
    const network = await lan({ name: 'lan' });
    const [near, far, old] = [await bench.plain('h1'), await bench.plain('h3'), await bench.plain('h4')];
    const { revision } = await bench.connect(network, near);
    expect((await bench.record(near, revision)).endpoints).toMatchObject([{ networkId: network.id }]);
    await expect(bench.connect(network, far)).rejects.toMatchObject({
      reason: 'failed-precondition',
      message: expect.stringMatching(/on host h3, .* network lan: it has no interface eth1/),
    });
    await expect(bench.connect(network, old)).rejects.toMatchObject({
      message: expect.stringMatching(/on host h4, .* network lan: its kernel makes no macvlan links/),
    });
    for (const container of [near, far, old]) await bench.remove(container);
    await removeNetworks();
  });

  test('have no ports of hosts: two can publish the same, and no other host forwards it', async () => {
    await lan({ name: 'lan' });
    const network = { mode: 'lan', endpoints: [{ network: 'lan' }], ports: [{ containerPort: 80, hostPort: 8_088 }] };
    const [one, two] = [
      await createContainer(bench.cluster.leader, { network }),
      await createContainer(bench.cluster.leader, { network }),
    ];
    await bench.start(one);
    await bench.start(two);
    const ports = [{ containerPort: 81, protocol: 'tcp', hostPort: 8_089 }].map((port) =>
      containerV1.PortBinding.fromPartial(port),
    );
    await expect(bench.cluster.leader.containers.publishPorts({ id: one.id, ports })).rejects.toMatchObject({
      reason: 'invalid-argument',
      message: expect.stringContaining('is in macvlan networks only'),
    });
    const bridged = await createContainer(bench.cluster.leader, {
      network: { mode: 'default', ports: [{ containerPort: 80, hostPort: 8_088 }] },
    });
    await bench.start(bridged);
    for (const container of [one, two, bridged]) await bench.remove(container);
    await removeNetworks();
  });

  test('go to another host of the interface when theirs is drained, with their addresses', async () => {
    await lan({ name: 'lan', subnets });
    const container = await createContainer(bench.cluster.leader, {
      restartPolicy: { name: 'always', maximumRetryCount: 0 },
      network: { mode: 'lan', endpoints: [{ network: 'lan' }] },
    });
    await bench.start(container);
    const other = container.nodeId === 'h1' ? 'h2' : 'h1';
    await bench.cluster.leader.nodes.updateNode({ id: container.nodeId, availability: nodeV1.NodeAvailability.DRAIN });
    await until(() => bench.view.containers.get(container.id)?.nodeId === other);
    expect(bench.view.containers.get(container.id)?.endpoints).toEqual(container.endpoints);
    await bench.cluster.leader.nodes.updateNode({ id: container.nodeId, availability: nodeV1.NodeAvailability.ACTIVE });
    await bench.remove(container);
    await removeNetworks();
  });
});

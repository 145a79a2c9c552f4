import type { containerV1, networkV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createContainer, createNetwork, NetworkBench, startTestCluster, until } from './testing/index.ts';

let bench: NetworkBench;
beforeAll(async () => {
  bench = await NetworkBench.start(2);
});
afterAll(() => bench.stop());

const make = (service: string, ...networks: networkV1.NetworkRecord[]): Promise<containerV1.ContainerRecord> =>
  createContainer(bench.cluster.leader, {
    network: {
      mode: networks[0]?.name ?? 'default',
      endpoints: networks.map(({ name }) => ({ network: name })),
      serviceName: service,
    },
  });
const virtual = ({ endpoints }: containerV1.ContainerRecord, at = 0): string[] => {
  const { serviceName = '', virtualIpv4 = '', virtualIpv6 = '' } = endpoints[at] ?? {};
  return [serviceName, virtualIpv4, virtualIpv6];
};
const net = (cidr: string, more: object = {}): Promise<networkV1.NetworkRecord> =>
  createNetwork(bench.cluster.leader, { subnets: [{ cidr }], ...more });

describe('virtual addresses', () => {
  test('one for each family, network and service, the same for all of its containers', async () => {
    const both = await net('10.70.0.0/24', {
      ipv6: true,
      subnets: [{ cidr: '10.70.0.0/24' }, { cidr: 'fd00:70::/64' }],
    });
    const six = await net('fd00:71::/64', { ipv4: false, ipv6: true });
    const first = await make('web', both, six);
    expect(first.endpoints).toMatchObject([
      { ipv4Address: '10.70.0.2', ipv6Address: 'fd00:70::2' },
      { ipv4Address: '', ipv6Address: 'fd00:71::2' },
    ]);
    expect([virtual(first), virtual(first, 1)]).toEqual([
      ['web', '10.70.0.3', 'fd00:70::3'],
      ['web', '', 'fd00:71::3'],
    ]);
    expect(virtual(await make('web', both))).toEqual(['web', '10.70.0.3', 'fd00:70::3']);
    expect(virtual(await make('api', both))).toEqual(['api', '10.70.0.6', 'fd00:70::6']);
    expect(virtual(await make('', both))).toEqual(['', '', '']);
  });

  test('agreed on by containers that are made at the same moment', async () => {
    const network = await net('10.72.0.0/24');
    const made = await Promise.all(Array.from({ length: 8 }, () => make('web', network)));
    expect(new Set(made.map((record) => virtual(record)[1])).size).toBe(1);
    expect(
      new Set(made.flatMap(({ endpoints }) => [endpoints[0]?.ipv4Address, virtual({ endpoints } as never)[1]])).size,
    ).toBe(9);
  });

  test('held until the last container has left, and nobody else gets them meanwhile', async () => {
    const network = await net('10.73.0.0/29');
    const [a, b] = [await make('web', network), await make('web', network)];
    const address = virtual(a)[1] ?? '';
    const wanting = createContainer(bench.cluster.leader, {
      network: { mode: network.name, endpoints: [{ network: network.name, ipv4Address: address }] },
    });
    await expect(wanting).rejects.toMatchObject({ reason: 'conflict' });
    await bench.remove(a);
    expect(virtual(await make('web', network))[1]).toBe(address);
    // Six addresses: the gateway's, three containers' with one of them gone, the service's.
    await make('', network);
    await make('', network);
    await expect(make('', network)).rejects.toMatchObject({ reason: 'resource-exhausted' });
    await bench.remove(b);
    expect((await make('', network)).endpoints[0]?.ipv4Address).toBe(b.endpoints[0]?.ipv4Address);
  });

  test('none is left for the service, and nothing stays of the attempt', async () => {
    const network = await net('10.74.0.0/29');
    for (let count = 0; count < 4; count++) await make('', network);
    await expect(make('web', network)).rejects.toMatchObject({
      reason: 'resource-exhausted',
      message: expect.stringMatching(/^no available IPv4 addresses/),
    });
    expect((await make('', network)).endpoints[0]?.ipv4Address).toBe('10.74.0.6');
  });

  test('connect gives and disconnect releases them', async () => {
    const network = await net('10.75.0.0/24');
    const plain = await make('web');
    const { revision } = await bench.connect(network, plain);
    const [, address = ''] = virtual(await bench.record(plain, revision));
    expect(address).toBe('10.75.0.3');
    await bench.disconnect(network, plain);
    const taken = createContainer(bench.cluster.leader, {
      network: { mode: network.name, endpoints: [{ network: network.name, ipv4Address: address }] },
    });
    expect((await taken).endpoints[0]?.ipv4Address).toBe(address);
    await expect(bench.connect(network, plain)).resolves.toBeDefined();
    await until(() => bench.view.containers.get(plain.id)?.endpoints[0]?.virtualIpv4 === '10.75.0.5');
  });

  test('hosts hear of them, and of what serves', async () => {
    const network = await net('10.76.0.0/24');
    const container = await make('web', network);
    const seen = () =>
      bench.cluster.agents
        .flatMap(({ networks }) => networks.members(network.id) ?? [])
        .find(({ containerId }) => containerId === container.id);
    await until(() => seen() !== undefined);
    expect(seen()).toMatchObject({ serviceName: 'web', virtualIpv4: '10.76.0.3', virtualIpv6: '', serving: false });
    await bench.start(container);
    await until(() => seen()?.serving === true);
  });

  test('known to the next leader from the records', async () => {
    const cluster = await startTestCluster({ agents: 0 });
    try {
      await cluster.addReplica('s2');
      await cluster.addAgent('h1');
      const network = await createNetwork(cluster.leader, { subnets: [{ cidr: '10.77.0.0/24' }] });
      const create = (serviceName: string, ipv4Address = '') =>
        createContainer(cluster.leader, {
          network: { mode: network.name, endpoints: [{ network: network.name, ipv4Address }], serviceName },
        });
      const before = await create('web');
      await cluster.leader.stop();
      await until(() => cluster.replicas.some((replica) => replica.scheduler.serving));
      expect(virtual(await create('web'))).toEqual(virtual(before));
      await expect(create('', virtual(before)[1])).rejects.toMatchObject({ reason: 'conflict' });
      expect((await create('')).endpoints[0]?.ipv4Address).toBe('10.77.0.5');
    } finally {
      await cluster.stop();
    }
  });
});

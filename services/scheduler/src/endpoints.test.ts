import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createContainer, createNetwork, NetworkBench } from './testing/index.ts';

let bench: NetworkBench;
beforeAll(async () => {
  bench = await NetworkBench.start(2);
  await createNetwork(bench.cluster.leader, { name: 'bad', subnets: [{ cidr: '10.83.0.0/24' }] });
  await bench.on('h1', 'bad', { ipv4Address: '10.83.0.77' });
});
afterAll(() => bench.stop());

describe('endpoints', () => {
  test('written with the container: addresses, gateways, MAC and interfaces in order', async () => {
    const one = await createNetwork(bench.cluster.leader, { subnets: [{ cidr: '10.80.0.0/24' }] });
    const two = await createNetwork(bench.cluster.leader, {
      ipv6: true,
      internal: true,
      subnets: [{ cidr: '10.81.0.0/24' }, { cidr: 'fd00:81::/64' }],
    });
    const container = await createContainer(bench.cluster.leader, {
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
    expect(await bench.record(container, container.revision)).toEqual(container);
  });

  test('beside the default bridge the first interface is eth1; IPv6 alone has a MAC, too', async () => {
    const network = await createNetwork(bench.cluster.leader, {
      ipv4: false,
      ipv6: true,
      subnets: [{ cidr: 'fd00:82::/64' }],
    });
    const { endpoints } = await createContainer(bench.cluster.leader, {
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
    await expect(createContainer(bench.cluster.leader, { network })).rejects.toMatchObject({
      reason,
      message: expect.stringMatching(message),
    });
  });

  test('all addresses given: refused, and an address comes back with its container', async () => {
    const network = await createNetwork(bench.cluster.leader, { subnets: [{ cidr: '10.85.0.0/29' }] });
    const containers = await Promise.all(Array.from({ length: 5 }, () => bench.on('h1', network.name)));
    expect(containers.map(({ endpoints }) => endpoints[0]?.ipv4Address).sort()).toEqual([
      ...['10.85.0.2', '10.85.0.3', '10.85.0.4', '10.85.0.5', '10.85.0.6'],
    ]);
    await expect(bench.on('h1', network.name)).rejects.toMatchObject({
      reason: 'resource-exhausted',
      message: `no available IPv4 addresses on this network's address pools: ${network.name} (${network.id})`,
    });
    const gone = containers[2];
    if (gone) await bench.remove(gone);
    expect((await bench.on('h2', network.name)).endpoints[0]?.ipv4Address).toBe(gone?.endpoints[0]?.ipv4Address);
  });

  test('a chosen name of an interface', async () => {
    const network = await createNetwork(bench.cluster.leader);
    const ifname = (name: string) => ({ driverOpts: { 'com.docker.network.endpoint.ifname': name } });
    expect((await bench.on('h1', network.name, ifname('lan'))).endpoints[0]?.interfaceName).toBe('lan');
    for (const wrong of ['lo', 'eth7', 'a/b', 'sixteen-letters-']) {
      await expect(bench.on('h1', network.name, ifname(wrong))).rejects.toMatchObject({ reason: 'invalid-argument' });
    }
  });
});

import type { networkV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNetwork, NetworkBench, until } from './testing/index.ts';

let bench: NetworkBench;
beforeAll(async () => {
  bench = await NetworkBench.start(1, { facts: { onLinkRoutes: ['10.91.4.0/24', '10.216.0.0/14', 'fd77::/64'] } });
});
afterAll(() => bench.stop());

describe('networks', () => {
  test('subnet, gateway and VNI are filled in and durable; the same id twice is the same network', async () => {
    const network = await createNetwork(bench.cluster.leader, { labels: { tier: 'web' }, ipv6: true });
    expect(network.subnets).toMatchObject([
      { cidr: expect.stringMatching(/^10\.2\d\d\.\d+\.0\/22$/), gateway: expect.stringMatching(/\.1$/) },
      { cidr: expect.stringMatching(/^fd.*\/64$/), gateway: expect.stringMatching(/::1$/) },
    ]);
    expect(network.vni).toBeGreaterThan(4_095);
    await until(() => bench.view.networks.get(network.id) !== undefined);
    expect(bench.view.networks.get(network.id)).toEqual(network);
    expect((await bench.cluster.leader.networks.createNetwork({ network })).network).toEqual(network);
    const other = await createNetwork(bench.cluster.leader);
    expect(other.vni).not.toBe(network.vni);
    expect(other.subnets[0]?.cidr).not.toBe(network.subnets[0]?.cidr);
  });

  test('what a host is connected to is not chosen', async () => {
    for (let count = 0; count < 3; count++) {
      const { subnets } = await createNetwork(bench.cluster.leader);
      expect(subnets[0]?.cidr).toMatch(/^10\.22[0-3]\./);
    }
  });

  test('of two with one name, or one subnet, at the same time one is refused', async () => {
    const named = await Promise.allSettled([1, 2].map(() => createNetwork(bench.cluster.leader, { name: 'twice' })));
    expect(named.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(named.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { reason: 'already-exists', message: 'network with name twice already exists' },
    });
    const subnets = [{ cidr: '10.77.0.0/16' }];
    const placed = await Promise.allSettled([1, 2].map(() => createNetwork(bench.cluster.leader, { subnets })));
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
    ['ipvlan', { driver: 'ipvlan', options: { parent: 'eth0' } }, 'unimplemented', /^Driver: ipvlan is not built/],
    [
      'macvlan, when no kernel has it',
      { driver: 'macvlan', options: { parent: 'eth0' } },
      'unimplemented',
      /^Driver: macvlan: no host/,
    ],
    [
      'encryption where a host has none',
      { driver: 'overlay', options: { encrypted: '' } },
      'failed-precondition',
      /^Options\["encrypted"\]: network \S+ is not made, for these hosts cannot encrypt: h1 \(its agent does not say/,
    ],
    [
      'a configuration with an unclear wish for encryption',
      { configOnly: true, options: { encrypted: '1' } },
      'invalid-argument',
      /^Options\["encrypted"\]: want nothing/,
    ],
    [
      'an unclear wish for encryption',
      { options: { encrypted: 'yes' } },
      'invalid-argument',
      /^Options\["encrypted"\]: want nothing, true or false \(got "yes"\)/,
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
    [
      'what a host is connected to',
      { subnets: [{ cidr: '10.91.0.0/16' }] },
      'invalid-argument',
      /^IPAM\.Config\[0\]\.Subnet: Pool overlaps with other one on this address space: .*10\.91\.4\.0\/24 of a route of host h1/,
    ],
    [
      'the same by IPv6',
      { ipv6: true, subnets: [{ cidr: 'fd77::/48' }] },
      'invalid-argument',
      /Pool overlaps with other one on this address space/,
    ],
  ])('%s is refused', async (_name, given, reason, message) => {
    await expect(createNetwork(bench.cluster.leader, given)).rejects.toMatchObject({
      reason,
      message: expect.stringMatching(message),
    });
  });

  test('MTU and plain options are taken', async () => {
    const options = {
      'com.docker.network.driver.mtu': '1400',
      'com.docker.network.bridge.enable_icc': 'true',
      encrypted: 'false',
    };
    expect(await createNetwork(bench.cluster.leader, { options })).toMatchObject({ mtu: 1400, options });
  });

  describe('configurations', () => {
    const subnets = [{ cidr: '10.79.0.0/24', ipRange: '10.79.0.128/25', gateway: '10.79.0.9' }];
    const options = { 'com.docker.network.driver.mtu': '1400' };

    test('have no addresses of their own, and what is made from them has all they say', async () => {
      const { leader } = bench.cluster;
      const given = { name: 'config', configOnly: true, ipv6: true, subnets, options, labels: { a: '1', b: '1' } };
      const config = await createNetwork(leader, given);
      expect(config).toMatchObject({ driver: 'null', vni: 0, configOnly: true, subnets, options });
      const from = { configFrom: 'config', driver: 'overlay', labels: { b: '2' } };
      const made = await createNetwork(leader, { name: 'made', ...from });
      expect(made).toMatchObject({ driver: 'overlay', mtu: 1400, ipv6: true, options, labels: { a: '1', b: '2' } });
      expect(made.subnets[0]).toMatchObject({ ...subnets[0] });
      expect(made.subnets[1]?.cidr).toMatch(/^fd/);
      expect(made.vni).not.toBe(0);
      const container = await bench.on('h1', 'made');
      expect((await bench.record(container, 0n)).endpoints).toMatchObject([{ ipv4Address: '10.79.0.128' }]);
      await expect(createNetwork(leader, { name: 'other', ...from })).rejects.toMatchObject({
        message: expect.stringContaining('Pool overlaps with other one on this address space'),
      });
      await expect(bench.connect(config, container)).rejects.toMatchObject({
        reason: 'permission-denied',
        message: 'cannot create endpoint on configuration-only network config',
      });
      await expect(leader.networks.removeNetwork({ id: config.id })).rejects.toMatchObject({
        reason: 'permission-denied',
        message: 'configuration network "config" is in use (by network made)',
      });
      await bench.remove(container);
      await leader.networks.removeNetwork({ id: made.id });
      await leader.networks.removeNetwork({ id: config.id });
    });

    test.each<[string, Parameters<typeof createNetwork>[1], string, RegExp]>([
      ['an internal one', { configOnly: true, internal: true }, 'permission-denied', /^Internal: /],
      ['an attachable one', { configOnly: true, attachable: true }, 'permission-denied', /^Attachable: /],
      ['one with a scope', { configOnly: true, scope: 'swarm' }, 'permission-denied', /^Scope: /],
      ['one of another', { configOnly: true, configFrom: 'x' }, 'permission-denied', /^ConfigFrom: /],
      ['one with host bits', { configOnly: true, subnets: [{ cidr: '10.1.1.1/24' }] }, 'invalid-argument', /^IPAM/],
      ['one with an unknown option', { configOnly: true, options: { a: 'b' } }, 'invalid-argument', /^Options: "a"/],
      ['one that is not there', { configFrom: 'nowhere' }, 'not-found', /configuration network nowhere not found/],
      ['a network that is none', { configFrom: 'no-config' }, 'invalid-argument', /is not a configuration network/],
      ['own subnets', { configFrom: 'a-config', subnets }, 'permission-denied', /^IPAM\.Config: /],
      ['own options', { configFrom: 'a-config', options }, 'permission-denied', /^Options: /],
      ['own IPv6', { configFrom: 'a-config', ipv6: true }, 'permission-denied', /^EnableIPv6: /],
    ])('%s is refused', async (_name, given, reason, message) => {
      const { leader } = bench.cluster;
      const known = [
        await createNetwork(leader, { name: 'no-config' }),
        await createNetwork(leader, { name: 'a-config', configOnly: true }),
      ];
      await expect(createNetwork(leader, given)).rejects.toMatchObject({
        reason,
        message: expect.stringMatching(message),
      });
      for (const { id } of known) await leader.networks.removeNetwork({ id });
    });
  });

  test('removal: refused while a container runs, not for one that does not; name and subnet are free again', async () => {
    const network = await createNetwork(bench.cluster.leader, { name: 'going', subnets: [{ cidr: '10.78.0.0/16' }] });
    const container = await bench.on('h1', 'going');
    await bench.start(container);
    await expect(bench.cluster.leader.networks.removeNetwork({ id: network.id })).rejects.toMatchObject({
      reason: 'failed-precondition',
      message: `error while removing network: network going has active endpoints (name:"${container.spec?.name}" id:"${container.id.slice(0, 12)}")`,
    });
    await bench.cluster.leader.containers.stopContainer({ id: container.id, signal: '' });
    await bench.cluster.leader.networks.removeNetwork({ id: network.id });
    await expect(bench.cluster.leader.networks.removeNetwork({ id: network.id })).rejects.toMatchObject({
      reason: 'not-found',
    });
    await expect(bench.start(container)).rejects.toMatchObject({
      reason: 'not-found',
      message: 'failed to set up container networking: network going not found',
    });
    await until(() => bench.agent('h1').networks.members(network.id) === undefined);
    const again = await createNetwork(bench.cluster.leader, { name: 'going', subnets: [{ cidr: '10.78.0.0/16' }] });
    const { record: started } = await bench.start(container);
    expect(started?.endpoints).toMatchObject([{ networkId: again.id, ipv4Address: '10.78.0.2' }]);
    await bench.remove(container);
    await bench.cluster.leader.networks.removeNetwork({ id: again.id });
  });
});

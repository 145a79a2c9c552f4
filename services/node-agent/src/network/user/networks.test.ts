import { execFileSync } from 'node:child_process';
import { appendFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { networkV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StateJournal } from '../state-journal.ts';
import { defaultRoutes, type RouteCandidate } from './default-routes.ts';
import { endpointInterfaceOf, planEndpoints } from './endpoint-links.ts';
import { endpointSysctls } from './endpoint-sysctls.ts';
import { ForwardingEntries, type RemoteMember } from './forwarding-entries.ts';
import { checkState, Membership } from './membership.ts';
import { networksRuleset } from './networks-ruleset.ts';
import {
  bridgeCommands,
  bridgeOf,
  ENCAPSULATION_BYTES,
  gatewayMac,
  kernelEntries,
  mtuOf,
  targetOf,
  vxlanCommands,
  vxlanOf,
} from './overlay-device.ts';

const id = (digit: string): string => digit.repeat(64);
const mac = (last: number): string => `02:42:00:00:00:0${last}`;
const member = (who: string, hostIp: string, number: number, more: object = {}): networkV1.Member =>
  networkV1.Member.fromPartial({
    containerId: id(who),
    nodeId: `node of ${hostIp}`,
    hostIp,
    ipv4Address: `10.1.0.${number}`,
    macAddress: mac(number),
    names: [`c${who}`],
    running: true,
    ...more,
  });
const remote = (target: string, number: number): RemoteMember => ({
  macAddress: mac(number),
  ipv4Address: `10.1.0.${number}`,
  ipv6Address: '',
  target,
});
const network = (more: object = {}): networkV1.NetworkRecord =>
  networkV1.NetworkRecord.fromPartial({
    id: id('a'),
    name: 'net',
    vni: 77,
    subnets: [{ cidr: '10.1.0.0/24', gateway: '10.1.0.1' }],
    ...more,
  });
const state = (more: object): networkV1.NetworkState =>
  networkV1.NetworkState.fromPartial({ network: network(), ...more });

describe('who is in a network', () => {
  test('a complete state replaces, a change adds to it', () => {
    const all = new Membership();
    all.apply(state({ complete: true, members: [member('1', '10.0.0.1', 2), member('2', '10.0.0.2', 3)] }));
    expect(all.apply(state({ members: [member('3', '10.0.0.2', 4)], gone: [id('1')] }))).toEqual([id('1'), id('3')]);
    expect([...all.members()].map(({ containerId }) => containerId)).toEqual([id('2'), id('3')]);
    expect([...all.hosts()]).toEqual(['10.0.0.2']);
    expect(all.apply(state({ complete: true, members: [member('3', '10.0.0.3', 4)] }))).toEqual([id('2'), id('3')]);
    expect([...all.hosts()]).toEqual(['10.0.0.3']);
    expect([all.named('C3').length, all.named('c2').length, all.at('10.1.0.3')]).toEqual([1, 0, undefined]);
  });
  test('an address that went to another before its owner was gone', () => {
    const all = new Membership();
    all.apply(state({ complete: true, members: [member('1', '10.0.0.1', 2)] }));
    all.apply(state({ members: [member('2', '10.0.0.1', 2)] }));
    all.apply(state({ gone: [id('1')] }));
    expect(all.at('10.1.0.2')?.containerId).toBe(id('2'));
  });
  test.each([
    ['no network', { network: undefined }, 'without the id'],
    ['a VNI out of range', { network: network({ vni: 2 ** 24 }) }, 'VNI'],
    [
      'a subnet with a command',
      { network: network({ subnets: [{ cidr: '10.0.0.0/8 } ; flush ruleset' }] }) },
      'subnet',
    ],
    [
      'a gateway of the other family',
      { network: network({ subnets: [{ cidr: '10.0.0.0/8', gateway: 'fd00::1' }] }) },
      'gateway',
    ],
    ['a MAC address with a line', { members: [member('1', '10.0.0.1', 2, { macAddress: 'x\nlink del eth0' })] }, 'MAC'],
    ['an IPv6 address as IPv4', { members: [member('1', '10.0.0.1', 2, { ipv4Address: 'fd00::1' })] }, 'IPv4'],
    ['a service no label is', { members: [member('1', '10.0.0.1', 2, { serviceName: 'a.b' })] }, 'service name'],
    [
      'a virtual address of the wrong family',
      { members: [member('1', '', 2, { virtualIpv6: '10.1.0.9' })] },
      'virtual IPv6',
    ],
    ['a virtual address that is none', { members: [member('1', '', 2, { virtualIpv4: 'web' })] }, 'virtual IPv4'],
    ['a host name', { members: [member('1', 'host', 2)] }, 'host address'],
    [
      'a key with a line',
      { members: [member('1', '10.0.0.1', 2, { wireguard: { publicKey: `${'A'.repeat(43)}=\nx`, port: 1 } })] },
      'WireGuard key',
    ],
    [
      'a port out of range',
      { members: [member('1', '10.0.0.1', 2, { wireguard: { publicKey: `${'A'.repeat(43)}=`, port: 65_536 } })] },
      'WireGuard port',
    ],
  ])('%s is refused', (_name, more, words) => {
    expect(() => checkState(state(more))).toThrow(words);
  });
});

describe('forwarding entries', () => {
  const entries = (): ForwardingEntries => new ForwardingEntries('atx1');
  const add = (number: number, host: string) => `fdb replace ${mac(number)} dev atx1 dst ${host} self master static`;
  const gone = (number: number) => [
    `fdb del ${mac(number)} dev atx1 master static`,
    `fdb del ${mac(number)} dev atx1 self`,
  ];
  const neighbour = (number: number) => `neigh replace 10.1.0.${number} lladdr ${mac(number)} dev atx1 nud permanent`;

  test('one that comes, moves, comes home and goes', () => {
    const all = entries();
    const [first, second] = [remote('10.0.0.1', 2), remote('10.0.0.2', 2)];
    expect(all.follow([[id('1'), first]])).toEqual({ bridge: [add(2, '10.0.0.1')], ip: [neighbour(2)] });
    expect(all.follow([[id('1'), { ...first }]])).toEqual({ bridge: [], ip: [] });
    expect(all.follow([[id('1'), second]])).toEqual({ bridge: [add(2, '10.0.0.2')], ip: [neighbour(2)] });
    expect(all.follow([[id('1'), undefined]])).toEqual({ bridge: gone(2), ip: ['neigh del 10.1.0.2 dev atx1'] });
    expect(all.follow([[id('1'), undefined]])).toEqual({ bridge: [], ip: [] });
  });
  test('an address that passes on to another is replaced, whichever is told first', () => {
    const next = remote('10.0.0.2', 2);
    for (const order of [
      [
        [id('1'), undefined],
        [id('2'), next],
      ],
      [
        [id('2'), next],
        [id('1'), undefined],
      ],
    ] as const) {
      const all = entries();
      all.follow([[id('1'), remote('10.0.0.1', 2)]]);
      expect(all.follow(order)).toEqual({ bridge: [add(2, '10.0.0.2')], ip: [neighbour(2)] });
    }
    const late = entries();
    late.follow([[id('1'), remote('10.0.0.1', 2)]]);
    late.follow([[id('2'), next]]);
    expect(late.follow([[id('1'), undefined]])).toEqual({ bridge: [], ip: [] });
  });
  test('what the kernel lacks, has too much, or has otherwise', () => {
    const all = entries();
    all.follow([
      [id('1'), remote('10.0.0.1', 2)],
      [id('2'), remote('10.0.0.2', 3)],
    ]);
    const kernel = {
      forwarding: new Map([
        [mac(2), '10.0.0.1'],
        [mac(3), '10.0.0.9'],
        [mac(4), '10.0.0.4'],
      ]),
      neighbours: new Map([
        ['10.1.0.2', mac(2)],
        ['10.1.0.4', mac(4)],
      ]),
    };
    expect(all.repair(kernel)).toEqual({
      bridge: [...gone(4), add(3, '10.0.0.2')],
      ip: ['neigh del 10.1.0.4 dev atx1', neighbour(3)],
    });
  });
  test('what the tools say the kernel has', () => {
    const fdb = JSON.stringify([
      { mac: mac(2), flags: [], master: 'atn1', state: 'static' },
      { mac: mac(2), dst: '10.0.0.1', flags: ['self'], state: 'static' },
      { mac: mac(3), dst: '10.0.0.1', flags: ['self'], state: 'static' },
      { mac: mac(4), flags: [], master: 'atn1', state: 'static' },
      { mac: mac(4), dst: 'fe80::1', viaIf: 'atw1', flags: ['self'], state: 'static' },
      { mac: 'own', flags: [], master: 'atn1', state: 'permanent' },
    ]);
    const neigh = JSON.stringify([
      { dst: '10.1.0.2', lladdr: mac(2), state: ['PERMANENT'] },
      { dst: 'fe80::1', lladdr: mac(2), state: ['STALE'] },
    ]);
    expect(kernelEntries(fdb, neigh)).toEqual({
      // Half of it there is as good as not.
      forwarding: new Map([
        [mac(2), '10.0.0.1'],
        [mac(3), ''],
        [mac(4), targetOf('fe80::1', 'atw1')],
      ]),
      neighbours: new Map([['10.1.0.2', mac(2)]]),
    });
  });
});

describe('devices', () => {
  const plain = { mtu: 1500, encapsulation: ENCAPSULATION_BYTES.ipv4 };
  const wish = (more: object = {}) => ({
    network: network(more),
    underlay: { address: '10.0.0.1', ...plain },
    mtu: 1450,
  });
  const [bridge, vxlan] = [bridgeOf(id('a')), vxlanOf(id('a'))];
  test('names fit, the MTU is what is left, the gateway is the same everywhere', () => {
    expect([bridge.length, vxlan.length, endpointInterfaceOf(id('b')).length]).toEqual([11, 11, 15]);
    expect([mtuOf(network(), plain), mtuOf(network({ mtu: 1400 }), plain), mtuOf(network({ vni: 0 }), plain)]).toEqual([
      1450, 1400, 1500,
    ]);
    expect(gatewayMac(id('a'))).toMatch(/^02:61(:[0-9a-f]{2}){4}$/);
  });
  test('made anew', () => {
    const both = wish({
      subnets: [
        { cidr: '10.1.0.0/24', gateway: '10.1.0.1' },
        { cidr: 'fd00::/64', gateway: 'fd00::1' },
      ],
    });
    expect(bridgeCommands(both, [])).toEqual([
      `link add name ${bridge} type bridge mcast_snooping 0`,
      `link set dev ${bridge} address ${gatewayMac(id('a'))} mtu 1450 up`,
      `addr add 10.1.0.1/24 dev ${bridge} broadcast +`,
      `addr add fd00::1/64 dev ${bridge} nodad`,
    ]);
    expect(vxlanCommands(both, [])).toEqual([
      `link add name ${vxlan} type vxlan id 77 local 10.0.0.1 dstport 4789 nolearning proxy`,
      `link set dev ${vxlan} mtu 1450 addrgenmode none master ${bridge} up`,
    ]);
  });
  test('over WireGuard: bound to its device, with less room', () => {
    const secret = { address: 'fe80::1', device: 'atw1', mtu: 1440, encapsulation: ENCAPSULATION_BYTES.ipv6 };
    const over = (links: Parameters<typeof vxlanCommands>[1]) =>
      vxlanCommands({ network: network(), underlay: secret, mtu: 1370 }, links);
    expect(mtuOf(network(), secret)).toBe(1370);
    expect(over([])[0]).toBe(
      `link add name ${vxlan} type vxlan id 77 local fe80::1 dev atw1 dstport 4789 nolearning proxy`,
    );
    const there = (data: object) => [{ ifname: vxlan, linkinfo: { info_data: { id: 77, ...data } } }];
    expect(over(there({ local6: 'fe80::1', link: 'atw1' }))).toHaveLength(1);
    // One that could leave by another way, or has the address of an earlier key, does not stay.
    for (const other of [{ local6: 'fe80::1' }, { local6: 'fe80::2', link: 'atw1' }, { local: '10.0.0.1' }]) {
      expect(over(there(other))[0]).toBe(`link del dev ${vxlan}`);
    }
  });
  test('those that are there stay, but for what differs', () => {
    const info = (data: object) => ({ ifname: vxlan, linkinfo: { info_data: data } });
    const old = {
      ifname: bridge,
      addr_info: [
        { local: '10.9.9.9', prefixlen: 24, scope: 'global' },
        { local: 'fe80::1', prefixlen: 64, scope: 'link' },
      ],
    };
    expect(bridgeCommands(wish(), [old]).slice(1)).toEqual([
      `addr del 10.9.9.9/24 dev ${bridge}`,
      `addr add 10.1.0.1/24 dev ${bridge} broadcast +`,
    ]);
    expect(vxlanCommands(wish(), [info({ id: 77, local: '10.0.0.1' })])).toHaveLength(1);
    expect(vxlanCommands(wish(), [info({ id: 78, local: '10.0.0.1' })])[0]).toBe(`link del dev ${vxlan}`);
    expect(vxlanCommands(wish({ vni: 0 }), [])).toEqual([]);
  });
});

describe('rules', () => {
  const rules = (networks: readonly networkV1.NetworkRecord[]) =>
    networksRuleset({
      defaultBridge: 'atollab',
      hostIp: '10.0.0.1',
      networks,
      peers: ['10.0.0.2', '10.0.0.1'],
      wireguard: 'atw1',
    });
  test('only the own table is named; without networks it goes', () => {
    const text = rules([network()]);
    expect(new Set(text.match(/table inet \S+/g))).toEqual(new Set(['table inet atollab_networks']));
    expect(rules([])).toBe('add table inet atollab_networks\ndelete table inet atollab_networks\n');
  });
  test.each([
    ['internal', { internal: true }],
    ['told not to', { options: { 'com.docker.network.bridge.enable_ip_masquerade': 'false' } }],
  ])('no source translation: %s', (_name, more) => {
    expect(rules([network(more)])).toContain('set masked4 { type ipv4_addr; flags interval; }');
    expect(rules([network()])).toContain('elements = { 10.1.0.0/24 }');
  });
  test('encrypted: by the device or not at all; nothing of it where no network is', () => {
    const secret = network({ id: id('c'), vni: 79, options: { encrypted: '' } });
    const text = rules([network(), secret]);
    expect(text).toContain('udp dport 4789 @th,96,24 { 79 } oifname != "atw1" drop');
    expect(text).toContain('udp dport 4789 @th,96,24 { 79 } fib daddr type local drop');
    expect(text).toContain('udp dport 4789 @th,96,24 { 77 } fib daddr type local ip saddr != @tunnels drop');
    expect(rules([network({ options: { encrypted: 'false' } })])).not.toContain('atw1');
  });
  test('nft takes them, twice', () => {
    const dual = network({
      id: id('b'),
      vni: 78,
      internal: true,
      subnets: [{ cidr: 'fd00:5::/64' }, { cidr: '10.2.0.0/24' }],
    });
    const secret = network({
      id: id('c'),
      vni: 79,
      options: { encrypted: 'true' },
      subnets: [{ cidr: '10.3.0.0/24' }],
    });
    const text = rules([network(), dual, secret]);
    const listed = execFileSync('unshare', ['--net', 'sh', '-c', 'nft -f - && nft list ruleset'], {
      encoding: 'utf8',
      input: text + text,
    });
    expect(listed).toContain('table inet atollab_networks');
  });
});

describe('the way out', () => {
  const way = (name: string, more: Partial<RouteCandidate> = {}): RouteCandidate => ({
    name,
    interface: name,
    priority: 0,
    internal: false,
    ipv4Gateway: '10.0.0.1',
    ipv6Gateway: '',
    ...more,
  });
  test.each([
    ['the first by name', [way('b'), way('a')], 'a', undefined],
    ['the highest priority', [way('a'), way('b', { priority: 1 })], 'b', undefined],
    ['never an internal one', [way('a', { internal: true, priority: 9 }), way('b')], 'b', undefined],
    ['none without a gateway', [way('a', { ipv4Gateway: '' })], undefined, undefined],
    ['each family by itself', [way('a'), way('b', { ipv4Gateway: '', ipv6Gateway: 'fd00::1' })], 'a', 'b'],
  ])('%s', (_name, candidates, ipv4, ipv6) => {
    const routes = defaultRoutes(candidates);
    expect([routes.ipv4?.name, routes.ipv6?.name]).toEqual([ipv4, ipv6]);
  });
  test('the plan of links', () => {
    const endpoint = networkV1.Endpoint.fromPartial({
      endpointId: id('e'),
      ipv4Address: '10.1.0.2',
      ipv4PrefixLength: 24,
      ipv4Gateway: '10.1.0.1',
      ipv6Address: 'fd00::2',
      ipv6PrefixLength: 64,
      ipv6Gateway: 'fd00::1',
      macAddress: mac(2),
      interfaceName: 'eth1',
      asked: { linkLocalIps: ['169.254.3.3', 'fe80::7'], gwPriority: 1 },
    });
    const place = { address: '10.88.0.2', prefixLength: 24, gateway: '10.88.0.1', macAddress: mac(1) };
    const bridge = { ...place, interfaceName: 'eth0' };
    const { endpoints, published } = planEndpoints([{ endpoint, network: network(), mtu: 1450 }], bridge, 'dns.sock');
    expect(endpoints.links[0]).toMatchObject({
      hostInterface: `atv${'e'.repeat(12)}`,
      addresses: ['10.1.0.2/24', 'fd00::2/64', '169.254.3.3/16', 'fe80::7/64'],
    });
    expect(endpoints.gateways).toEqual([
      { interface: 'eth1', address: '10.1.0.1' },
      { interface: 'eth1', address: 'fd00::1' },
    ]);
    expect(published).toEqual({ ipv4: '10.1.0.2', ipv6: 'fd00::2' });
    expect(planEndpoints([], bridge, 'dns.sock')).toMatchObject({
      published: { ipv4: '10.88.0.2', ipv6: '' },
      endpoints: { dns: undefined },
    });
  });
});

describe('settings of an interface', () => {
  const key = 'com.docker.network.endpoint.sysctls';
  test.each([
    ['one', 'net.ipv4.conf.IFNAME.log_martians=1', { 'net/ipv4/conf/eth2/log_martians': '1' }],
    [
      'two',
      'net.ipv4.conf.IFNAME.a=1,net.ipv6.neigh.IFNAME.b=2',
      { 'net/ipv4/conf/eth2/a': '1', 'net/ipv6/neigh/eth2/b': '2' },
    ],
    ['mpls', 'net.mpls.IFNAME.input=1', { 'net/mpls/eth2/input': '1' }],
  ])('%s', (_name, text, want) => {
    expect(endpointSysctls({ [key]: text }, 'eth2')).toEqual(want);
  });
  test.each([
    ['of all interfaces', { [key]: 'net.ipv4.conf.all.forwarding=1' }, 'is not a setting'],
    ['of the kernel', { [key]: 'kernel.core_pattern=x' }, 'is not a setting'],
    ['a path', { [key]: 'net.ipv4.conf.IFNAME.../../x=1' }, 'is not a setting'],
    ['another option', { x: '1' }, 'driver option "x"'],
  ])('%s is refused', (_name, options, words) => {
    expect(() => endpointSysctls(options, 'eth2')).toThrow(words);
  });
});

describe('the journal', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'atoll-journal-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  test('gives back what was told, also after a torn write; changes do not pile up', async () => {
    const journal = await StateJournal.open(folder, networkV1.NetworkState);
    const members = new Membership();
    const whole = () => state({ complete: true, members: [...members.members()] });
    const tell = async (change: networkV1.NetworkState): Promise<void> => {
      members.apply(change);
      await journal.add(id('a'), change, whole);
    };
    await tell(state({ complete: true, members: [member('1', '10.0.0.1', 2)] }));
    for (let count = 0; count < 2_000; count++)
      await tell(state({ members: [member('2', `10.0.${count >> 8}.${count & 255}`, 3)] }));
    expect((await stat(join(folder, id('a')))).size).toBeLessThan(80_000);
    await tell(state({ gone: [id('1')] }));
    await appendFile(join(folder, id('a')), Buffer.from([200, 0, 0, 0, 1, 2]));
    const again = new Membership();
    for (const one of await (await StateJournal.open(folder, networkV1.NetworkState)).load()) again.apply(one);
    expect([...again.members()]).toEqual([...members.members()]);
    await journal.forget(id('a'));
    await expect(readFile(join(folder, id('a')))).rejects.toThrow('ENOENT');
  });
});

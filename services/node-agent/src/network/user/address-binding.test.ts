import { execFileSync } from 'node:child_process';
import { type containerV1, type networkV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ipBytes } from '../../runtime/ip-bytes.ts';
import { buildProbe } from '../../runtime/testing/shim-binary.ts';
import { USER_NAMESPACE_MODES } from '../../runtime/testing/user-namespace-modes.ts';
import { TestHost } from '../../testing/test-host.ts';
import { reconnect, TestNetworks } from '../../testing/test-networks.ts';
import { arpReply, type Place, udpFrame } from '../testing/attacker.ts';
import { advertisement, udp6Frame } from '../testing/ipv6-frames.ts';
import { endpointInterfaceOf } from './endpoint-links.ts';

type Record_ = containerV1.ContainerRecord;

const [FORGED, OWN] = [7001, 7002];

/** Three members of one network on one host: one attacks, one is whose addresses it uses, one hears of it. */
describe.each(USER_NAMESPACE_MODES)('%s user namespaces, in a network of a user', { timeout: 60_000 }, (mode) => {
  let host: TestHost;
  let networks: TestNetworks;
  let net: networkV1.NetworkRecord;
  let attacker: Record_;
  let victim: Record_;
  let observer: Record_;
  const pids = new Map<string, number>();

  beforeAll(async () => {
    host = await TestHost.create({ userNamespaces: mode });
    networks = new TestNetworks([host]);
    net = networks.create({
      subnets: [
        { cidr: '10.217.31.0/24', gateway: '10.217.31.1' },
        { cidr: 'fd00:231::/64', gateway: 'fd00:231::1' },
      ],
      ipv6: true,
    });
    attacker = await started({ linkLocalIps: ['169.254.9.9', 'fe80::9'] });
    victim = await started();
    observer = await started();
  }, 60_000);
  afterAll(async () => {
    for (const record of [attacker, victim, observer]) if (record) await host.remove(record);
    if (net) networks.remove(net);
    await host?.dispose();
  }, 60_000);

  async function started(asked: Parameters<TestNetworks['connect']>[2] = {}): Promise<Record_> {
    const record = networks.connect(host.record(['sleep', '600'], { network: { mode: net.name } }), net, asked);
    await host.ensure(record);
    pids.set(record.id, (await host.start(record)).pid);
    return record;
  }

  const inHost = (...command: string[]): string =>
    execFileSync('nsenter', [`--net=/run/netns/${host.name}`, ...command], { encoding: 'utf8' });
  const inside = (record: Record_, ...command: string[]): string =>
    execFileSync('nsenter', [`--net=/proc/${pids.get(record.id)}/ns/net`, ...command], { encoding: 'utf8' });
  const send = (frame: Buffer): void =>
    expect(inside(attacker, buildProbe(), 'frame', 'eth0', frame.toString('hex'))).toBe('ok\n');

  const at = (record: Record_, version: 4 | 6): Place => {
    const endpoint = record.endpoints[0];
    const address = version === 4 ? endpoint?.ipv4Address : endpoint?.ipv6Address;
    return { ip: address ?? '', mac: endpoint?.macAddress ?? '' };
  };
  const as = (ip: string): Place => ({ ip, mac: at(attacker, 4).mac });
  const udp = (from: Place, port: number): Buffer =>
    from.ip.includes(':') ? udp6Frame(from, at(observer, 6), port, 'x') : udpFrame(from, at(observer, 4), port, 'x');
  const hex = (address: string): string => `0x${Buffer.from(ipBytes(address)).toString('hex')}`;

  /** How often each of these comes to the observer, when what was sent before one of its own packets has come. */
  async function arrived(...frames: Buffer[]): Promise<readonly number[]> {
    inside(observer, 'nft', 'flush', 'ruleset');
    const counts = [
      `table inet seen { chain c { type filter hook prerouting priority -350; udp dport ${FORGED} counter; icmpv6 type nd-neighbor-advert @th,64,128 ${hex(at(victim, 6).ip)} @th,208,48 0x${at(attacker, 6).mac.replaceAll(':', '')} counter; udp dport ${OWN} counter; }; }`,
      `table arp seen { chain c { type filter hook input priority 0; arp saddr ip ${at(victim, 4).ip} arp saddr ether ${at(attacker, 4).mac} counter; }; }`,
    ];
    for (const table of counts) inside(observer, 'nft', table);
    for (const frame of frames) send(frame);
    send(udp(at(attacker, 4), OWN));
    const read = (): number[] =>
      [...inside(observer, 'nft', 'list', 'ruleset').matchAll(/counter packets (\d+)/g)].map(([, count]) =>
        Number(count),
      );
    await expect.poll(() => read()[2], { timeout: 10_000 }).toBe(1);
    const [packets = 0, advertisements = 0, , replies = 0] = read();
    return [packets, advertisements, replies];
  }

  /** As it is for the receiver with the tag of VLAN 0: untagged. */
  const tagged = (frame: Buffer): Buffer =>
    Buffer.concat([frame.subarray(0, 12), Buffer.from([0x81, 0, 0, 0]), frame.subarray(12)]);

  const FORGERIES: readonly [string, () => Buffer][] = [
    ["the neighbour's IPv4 address", () => udp(as(at(victim, 4).ip), FORGED)],
    ["the gateway's", () => udp(as('10.217.31.1'), FORGED)],
    ['one nobody has', () => udp(as('10.217.31.200'), FORGED)],
    ["the neighbour's IPv6 address", () => udp(as(at(victim, 6).ip), FORGED)],
    ['a link-local address of somebody', () => udp(as('fe80::77'), FORGED)],
    ["the neighbour's IPv4 address inside a VLAN tag", () => tagged(udp(as(at(victim, 4).ip), FORGED))],
  ];
  const advertises = (): Buffer => advertisement(at(attacker, 6), at(victim, 6).ip);
  const replies = (): Buffer => arpReply(as(at(victim, 4).ip), at(observer, 4));

  test.each(FORGERIES)('a container is not heard with %s', async (_name, frame) => {
    expect(await arrived(frame())).toEqual([0, 0, 0]);
  });

  test('nor when it says by ARP or neighbour discovery that the address is its own', async () => {
    expect(await arrived(replies(), advertises())).toEqual([0, 0, 0]);
  });

  test.each<[string, () => string]>([
    ['IPv4', () => at(attacker, 4).ip],
    ['IPv6', () => at(attacker, 6).ip],
    ['link-local IPv4 asked for', () => '169.254.9.9'],
    ['link-local IPv6 asked for', () => 'fe80::9'],
    [
      'link-local IPv6 of its interface',
      () => /inet6 (fe80::(?!9\/)\S+)\/64/.exec(inside(attacker, 'ip', '-6', 'addr', 'show', 'dev', 'eth0'))?.[1] ?? '',
    ],
    ['none yet (IPv4)', () => '0.0.0.0'],
  ])('its own addresses are heard: %s', async (_name, address) => {
    expect((await arrived(udp(as(address()), FORGED)))[0]).toBe(1);
  });

  test('of a container that was connected while it ran, and after flushes, restarts and new links', async () => {
    const spoof = udp(as(at(victim, 4).ip), FORGED);
    const plain = host.record(['sleep', '600'], { network: { mode: 'bridge' } });
    await host.ensure(plain);
    pids.set(plain.id, (await host.start(plain)).pid);
    const late = networks.connect(plain, net);
    await reconnect(host, late);
    const reaches = (record: Record_): string =>
      inside(record, 'busybox', 'ping', '-c', '1', '-W', '2', at(observer, 4).ip);
    expect(reaches(late)).toContain('1 packets received');
    inHost('nft', 'flush', 'ruleset');
    await expect.poll(() => inHost('nft', 'list', 'tables'), { timeout: 10_000 }).toMatch(/table bridge \S+_networks/);
    expect(await arrived(spoof)).toEqual([0, 0, 0]);
    expect(reaches(late)).toContain('1 packets received');
    await host.killAgent();
    inHost('nft', 'flush', 'ruleset');
    await host.startAgent();
    await expect.poll(() => inHost('nft', 'list', 'tables'), { timeout: 10_000 }).toMatch(/table bridge \S+_networks/);
    expect(await arrived(spoof)).toEqual([0, 0, 0]);
    expect(reaches(late)).toContain('1 packets received');
    const again = await host.scheduler.order({ action: nodeV1.Action.RESTART, record: late, timeoutSeconds: 0n });
    pids.set(late.id, again.pid);
    expect(reaches(late)).toContain('1 packets received');
    await host.remove(late);
  });

  test('what a link leaves of it goes', async () => {
    const passing = await started();
    const port = endpointInterfaceOf(passing.endpoints[0]?.endpointId ?? '');
    const table = (): string => inHost('nft', 'list', 'ruleset', 'bridge');
    expect(table()).toContain(port);
    await host.remove(passing);
    networks.disconnect(passing, net);
    await host.killAgent();
    await host.startAgent();
    await expect.poll(table, { timeout: 10_000 }).not.toContain(port);
    expect(table()).toContain(endpointInterfaceOf(attacker.endpoints[0]?.endpointId ?? ''));
  });

  test('control: without the rules all of it works', async () => {
    const name = /table bridge (\S+_networks)/.exec(inHost('nft', 'list', 'tables'))?.[1] ?? '';
    await host.killAgent();
    inHost('nft', 'delete', 'table', 'bridge', name);
    for (const [what, frame] of FORGERIES) expect((await arrived(frame()))[0], what).toBe(1);
    expect(await arrived(replies(), advertises())).toEqual([0, 1, 1]);
    await host.startAgent();
    await expect.poll(async () => await arrived(replies(), advertises()), { timeout: 10_000 }).toEqual([0, 0, 0]);
  });
});

import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { containerV1, networkV1 } from '@atoll/proto';
import { nodeV1 } from '@atoll/proto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { buildProbe } from '../../runtime/testing/shim-binary.ts';
import { TestHost } from '../../testing/test-host.ts';
import { TestNetworks } from '../../testing/test-networks.ts';
import { TestUnderlay } from '../../testing/test-underlay.ts';
import { bridgeNameOf } from '../bridge.ts';
import { udpFrame } from '../testing/attacker.ts';
import { Capture } from '../testing/capture.ts';
import { udp6Frame } from '../testing/ipv6-frames.ts';
import { vxlanPacket } from '../testing/vxlan-packet.ts';
import { detectEncryption } from '../wireguard/encryption-support.ts';
import { innerAddress } from '../wireguard/inner-address.ts';
import { wireguardDeviceOf } from '../wireguard/wireguard-device.ts';
import { networksTable } from './networks-ruleset.ts';

const PORT = 7475;
const MARK = 'the quick brown marker';
const execute = promisify(execFile);
/** What makes the devices here. */
const { by } = await detectEncryption();

let underlay: TestUnderlay;
let hosts: TestHost[];
let networks: TestNetworks;
const made: networkV1.NetworkRecord[] = [];
const running: containerV1.ContainerRecord[] = [];
const pids = new Map<string, number>();

beforeAll(async () => {
  underlay = new TestUnderlay();
  const attach = (namespace: string): string => underlay.attach(namespace);
  hosts = [
    await TestHost.create({ nodeId: 'node-1', attach }),
    await TestHost.create({ nodeId: 'node-2', attach }),
    await TestHost.create({ nodeId: 'node-3', attach }),
  ];
  networks = new TestNetworks(hosts);
}, 300_000);
afterEach(async () => {
  for (const where of hosts)
    if (where.agent?.exitCode !== null || where.agent.signalCode !== null) await where.startAgent();
  for (const record of running.splice(0)) await hostOf(record).remove(record);
  for (const network of made.splice(0)) networks.remove(network);
  for (const where of hosts) await expect.poll(() => inHost(where, 'ip', 'link')).not.toMatch(/at[nwx][0-9a-f]{8}/);
}, 300_000);
afterAll(async () => {
  const ends = await Promise.allSettled((hosts ?? []).map((where) => where.dispose()));
  underlay?.dispose();
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}, 300_000);

const host = (index: number): TestHost => hosts[index] as TestHost;
const hostOf = ({ nodeId }: { readonly nodeId: string }): TestHost =>
  hosts.find((one) => one.nodeId === nodeId) as TestHost;
const deviceOf = (where: TestHost): string => wireguardDeviceOf(bridgeNameOf(where.nodeId));
const rulesOf = (where: TestHost): string => networksTable(bridgeNameOf(where.nodeId));
const publicKey = (where: TestHost): string => where.scheduler.hello?.facts?.wireguard?.publicKey ?? '';
const v4 = (record: containerV1.ContainerRecord): string => record.endpoints[0]?.ipv4Address ?? '';
const v6 = (record: containerV1.ContainerRecord): string => record.endpoints[0]?.ipv6Address ?? '';

function network(kind: 'encrypted' | 'plain', more: object = {}): networkV1.NetworkRecord {
  const record = networks.create({ options: kind === 'encrypted' ? { encrypted: '' } : {}, ...more });
  made.push(record);
  return record;
}

async function started(where: TestHost, net: networkV1.NetworkRecord, argv = ['sleep', '600']) {
  const plain = where.record(argv, { network: { mode: net.name } });
  const record = networks.connect(plain, net);
  await where.ensure(record);
  running.push(record);
  pids.set(record.id, (await where.start(record)).pid);
  return record;
}

function inHost(where: TestHost, ...command: string[]): string {
  return execFileSync('nsenter', [`--net=/run/netns/${where.name}`, ...command], { encoding: 'utf8' });
}

async function inside(record: containerV1.ContainerRecord, ...command: string[]): Promise<string> {
  return (await execute('nsenter', [`--net=/proc/${pids.get(record.id)}/ns/net`, ...command])).stdout;
}

const pings = (from: containerV1.ContainerRecord, address: string, ...more: string[]): Promise<boolean> =>
  inside(from, 'busybox', 'ping', '-c', '1', '-W', '1', ...more, address).then(
    () => true,
    () => false,
  );
const reached = (from: containerV1.ContainerRecord, address: string) =>
  expect.poll(() => pings(from, address), { timeout: 15_000 }).toBe(true);

/** Sends the mark by UDP, whoever listens. */
const sends = (from: containerV1.ContainerRecord, address: string): Promise<string> =>
  inside(
    from,
    process.execPath,
    '-e',
    `require('dgram').createSocket('udp4').send('${MARK}', 9, '${address}', () => process.exit())`,
  );

/** `wireguard-go` of a host, by its network namespace. */
async function processOf(where: TestHost): Promise<number> {
  const own = (await stat(`/run/netns/${where.name}`)).ino;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
    if (command.trim() !== 'wireguard-go') continue;
    if ((await stat(`/proc/${pid}/ns/net`).catch(() => undefined))?.ino === own) return Number(pid);
  }
  throw new Error(`wireguard-go does not run on ${where.nodeId}`);
}

/** Of the device: another one that is made in its place has another. */
function indexOf(where: TestHost): number {
  const links = JSON.parse(inHost(where, 'ip', '-json', 'link')) as { ifname: string; ifindex: number }[];
  return links.find(({ ifname }) => ifname === deviceOf(where))?.ifindex ?? 0;
}

/** As somebody does who means another one; with its process the device goes too. */
async function loseDevice(where: TestHost): Promise<void> {
  if (by === 'kernel') inHost(where, 'ip', 'link', 'del', deviceOf(where));
  else process.kill(await processOf(where), 'SIGKILL');
}

async function peersOf(where: TestHost): Promise<string[]> {
  const there =
    by === 'kernel' ? [`--net=/run/netns/${where.name}`] : ['--mount', '--net', `--target=${await processOf(where)}`];
  const { stdout } = await execute('nsenter', [...there, 'wg', 'show', deviceOf(where), 'peers']);
  return stdout.split('\n').filter((line) => line !== '');
}

describe('what a host says of itself', () => {
  test('its key and port; the private one stays in a file of root', async () => {
    expect(host(0).scheduler.hello?.facts).toMatchObject({
      wireguard: { publicKey: expect.stringMatching(/^.{43}=$/), port: PORT },
      noEncryption: '',
    });
    expect(publicKey(host(0))).not.toBe(publicKey(host(1)));
    const folder = join(host(0).dataRoot, 'wireguard');
    const file = join(folder, 'private-key');
    expect([(await stat(folder)).mode & 0o777, (await stat(file)).mode & 0o777]).toEqual([0o700, 0o600]);
    const secret = (await readFile(file, 'utf8')).trim();
    expect(execFileSync('wg', ['pubkey'], { input: secret, encoding: 'utf8' }).trim()).toBe(publicKey(host(0)));
    expect(host(0).output).not.toContain(secret);
  });

  test('why it cannot, when a program is missing; what is encrypted does not run there', async () => {
    const net = network('encrypted');
    const there = await started(host(1), net);
    await host(0).killAgent();
    const [program, reason] =
      by === 'kernel'
        ? ['wg', 'the program wg is not installed (package wireguard-tools)']
        : ['wireguard-go', 'its kernel has no WireGuard, and the program wireguard-go is not installed'];
    await host(0).startAgent(undefined, `mount --bind /dev/null /usr/bin/${program}`);
    expect(host(0).scheduler.hello?.facts).toMatchObject({ wireguard: undefined, noEncryption: reason });
    const record = networks.connect(host(0).record(['sleep', '600'], { network: { mode: net.name } }), net);
    await host(0).ensure(record);
    running.push(record);
    const result = await host(0).scheduler.tryOrder({ action: nodeV1.Action.START, record });
    expect(result).toMatchObject({ code: 9, message: expect.stringContaining(`this host cannot encrypt: ${reason}`) });
    // The other one has no key to encrypt for, and sends nothing instead.
    await using wire = await Capture.start(host(1).name, 'under');
    await sends(there, v4(record));
    expect([await pings(there, v4(record)), wire.holding(MARK), wire.toPort(4789)]).toEqual([false, 0, 0]);
    await host(0).killAgent();
  });
});

describe('an encrypted network', { timeout: 120_000 }, () => {
  const dual = {
    subnets: [
      { cidr: '10.218.3.0/24', gateway: '10.218.3.1' },
      { cidr: 'fd00:218::/64', gateway: 'fd00:218::1' },
    ],
    ipv6: true,
  };

  test('joins its containers by IPv4 and IPv6, with the MTU that is left; only hosts with members are peers', async () => {
    const net = network('encrypted', dual);
    const [a, b] = [await started(host(0), net), await started(host(1), net)];
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      await reached(from, v4(to));
      await reached(from, v6(to));
    }
    expect(await inside(a, 'ip', 'link', 'show', 'eth0')).toContain('mtu 1370');
    await using wire = await Capture.start(host(0).name, 'under');
    expect(await pings(a, v4(b), '-s', '1342')).toBe(true);
    // One packet each way, as long as the host's may be; WireGuard may say something itself meanwhile.
    await expect.poll(() => wire.wholeToPort(PORT, 1500)).toBe(2);
    expect(inHost(host(0), 'ip', '-6', 'addr', 'show', 'dev', deviceOf(host(0)))).toContain(
      `inet6 ${innerAddress(publicKey(host(0)))}/64`,
    );
    await expect.poll(() => peersOf(host(0))).toEqual([publicKey(host(1))]);
    const c = await started(host(2), net);
    await reached(c, v4(a));
    await reached(a, v6(c));
    expect((await peersOf(host(0))).sort()).toEqual([publicKey(host(1)), publicKey(host(2))].sort());
    networks.disconnect(c, net);
    await expect.poll(() => peersOf(host(0))).toEqual([publicKey(host(1))]);
  });

  test('a host that comes back is reached at once, with what the others knew of it before gone', async () => {
    const net = network('encrypted');
    const [a, b] = [await started(host(0), net), await started(host(1), net)];
    await reached(b, v4(a));
    // The one forgets the peer, and with it their session; the other one, whose device stays, does not.
    await hostOf(b).remove(b);
    running.splice(running.indexOf(b), 1);
    networks.disconnect(b, net);
    await expect.poll(() => peersOf(host(0))).toEqual([]);
    const c = await started(host(1), net);
    await expect.poll(() => pings(c, v4(a)), { timeout: 5_000 }).toBe(true);
  });

  test('an MTU that is given is the containers’, however long the packets of the host get', async () => {
    const net = network('encrypted', { mtu: 1500 });
    const [a, b] = [await started(host(0), net), await started(host(1), net)];
    await reached(a, v4(b));
    expect(await inside(a, 'ip', 'link', 'show', 'eth0')).toContain('mtu 1500');
    expect(await pings(a, v4(b), '-s', '1472')).toBe(true);
  });

  test.each(['encrypted', 'plain'] as const)('E34: what is sent between hosts, on the wire: %s', async (kind) => {
    const net = network(kind);
    const [a, b] = [await started(host(0), net), await started(host(1), net)];
    await reached(a, v4(b));
    await using wire = await Capture.start(host(0).name, 'under');
    await sends(a, v4(b));
    await expect.poll(() => wire.toPort(kind === 'plain' ? 4789 : PORT)).toBeGreaterThan(0);
    expect(await pings(a, v4(b))).toBe(true);
    const seen = [wire.holding(MARK) > 0, wire.toPort(4789) > 0, wire.toPort(PORT) > 0];
    expect(seen).toEqual(kind === 'plain' ? [true, true, false] : [false, false, true]);
  });

  test.each([
    ['encrypted', 'over IPv4', false],
    ['encrypted', 'over IPv6', false],
    ['plain', 'over IPv4', true],
  ] as const)('E34: a clear VXLAN packet from the other host: %s, %s', async (kind, way, taken) => {
    const net = network(kind);
    const [a, b] = [await started(host(0), net), await started(host(1), net)];
    await reached(a, v4(b));
    const packet = vxlanPacket(net.vni, ends(a, b), MARK);
    const send = (): void => inject(way, packet);
    await using arrived = await Capture.start(host(1).name, 'under');
    await using heard = await listen(b);
    await until(send, () => arrived.holding(MARK));
    if (taken) await until(send, () => heard.count());
    // What goes the right way comes, so what was before it would have come too.
    await inside(a, process.execPath, '-e', sender(v4(b), 'end'));
    await expect.poll(() => heard.has('end')).toBe(true);
    expect(heard.count() > 0).toBe(taken);
    if (kind === 'plain') return;
    // The kernel takes such packets from the device alone, so the rules are a second wall: neither is missed when the other is there.
    await host(1).killAgent();
    const counter = 'udp dport 4789 counter';
    const count = (): number =>
      Number(/packets (\d+)/.exec(inHost(host(1), 'nft', 'list', 'table', 'inet', 'seen'))?.[1]);
    inHost(host(1), 'nft', 'add table inet seen; add chain inet seen c { type filter hook input priority 0; }');
    inHost(host(1), 'nft', `add rule inet seen c iifname under ${counter}`);
    send();
    expect(count()).toBe(0);
    inHost(host(1), 'nft', 'delete', 'table', 'inet', rulesOf(host(1)));
    await until(send, count);
    expect(heard.count()).toBe(0);
    inHost(host(1), 'nft', 'delete', 'table', 'inet', 'seen');
  });

  test('E34: packets with its VNI leave by no other device, whoever makes them', async () => {
    const net = network('encrypted');
    const [a, b] = [await started(host(0), net), await started(host(1), net)];
    await using wire = await Capture.start(host(0).name, 'under');
    expect(() => sendUdp(host(0), host(1).overlayIp, 4789, vxlanPacket(net.vni, ends(a, b), MARK))).toThrow('EPERM');
    sendUdp(host(0), host(1).overlayIp, 4789, vxlanPacket(net.vni + 1, ends(a, b), 'another'));
    await expect.poll(() => wire.holding('another')).toBeGreaterThan(0);
    expect(wire.holding(MARK)).toBe(0);
  });

  test('E34: rules flushed again and again under load', async () => {
    const net = network('encrypted');
    const [a, b] = [await started(host(0), net), await started(host(1), net)];
    await reached(a, v4(b));
    await using wire = await Capture.start(host(0).name, 'under');
    await using heard = await listen(b);
    const script = `const s = require('dgram').createSocket('udp4'); setInterval(() => s.send('${MARK}', 9, '${v4(b)}'), 2)`;
    const flood = spawn('nsenter', [`--net=/proc/${pids.get(a.id)}/ns/net`, process.execPath, '-e', script]);
    try {
      for (let round = 0; round < 10; round++) {
        const before = heard.count();
        for (const where of [host(0), host(1)]) inHost(where, 'nft', 'flush', 'ruleset');
        await expect.poll(() => heard.count()).toBeGreaterThan(before);
      }
    } finally {
      flood.kill('SIGKILL');
    }
    expect([wire.holding(MARK), wire.toPort(4789)]).toEqual([0, 0]);
    for (const where of [host(0), host(1)]) {
      await expect
        .poll(() => inHost(where, 'nft', 'list', 'table', 'inet', rulesOf(where)))
        .toMatch(/chain encrypt \{[^}]*oifname != "atw/);
    }
  });

  test('goes on while its agents are killed and come back, with the same device', async () => {
    const net = network('encrypted');
    const [a, b] = [await started(host(0), net), await started(host(1), net)];
    await reached(a, v4(b));
    const before = indexOf(host(0));
    expect(before).toBeGreaterThan(1);
    for (const where of [host(0), host(1)]) await where.killAgent();
    expect(await pings(a, v4(b))).toBe(true);
    for (const where of [host(0), host(1)]) await where.startAgent();
    expect(await pings(a, v4(b))).toBe(true);
    expect(indexOf(host(0))).toBe(before);
  });

  test('its process keeps no mount of the agent, and no file of its own where others look', async ({ skip }) => {
    if (by === 'kernel') skip('not applicable: WireGuard is in the kernel');
    await host(0).killAgent();
    const volume = join(host(0).dataRoot, 'a volume');
    await host(0).startAgent(undefined, `mkdir -p '${volume}'; mount -t tmpfs none '${volume}'`);
    const mountsOf = async (pid: number): Promise<string> => await readFile(`/proc/${pid}/mountinfo`, 'utf8');
    expect(await mountsOf(host(0).agent?.pid ?? 0)).toContain('a\\040volume');
    await started(host(0), network('encrypted'));
    const pid = await processOf(host(0));
    expect(await mountsOf(pid)).not.toContain(host(0).dataRoot);
    expect(await readdir(`/proc/${pid}/root/run/wireguard`)).toEqual([`${deviceOf(host(0))}.sock`]);
    expect(await readdir('/run/wireguard').catch(() => [])).not.toContain(`${deviceOf(host(0))}.sock`);
    await host(0).killAgent();
    await rm(volume, { recursive: true });
  });

  test('E34: without the device nothing is sent, and it is made again, by its agent or the next one', async () => {
    const net = network('encrypted');
    const [a, b] = [await started(host(0), net), await started(host(1), net)];
    await reached(a, v4(b));
    await host(0).killAgent();
    await loseDevice(host(0));
    await using wire = await Capture.start(host(0).name, 'under');
    await expect.poll(() => inHost(host(0), 'ip', 'link')).not.toMatch(/at[wx]/);
    await sends(a, v4(b));
    expect(await pings(a, v4(b))).toBe(false);
    await host(0).startAgent();
    await reached(a, v4(b));
    await loseDevice(host(0));
    await reached(a, v4(b));
    expect([wire.holding(MARK), wire.toPort(4789)]).toEqual([0, 0]);
  });

  test('a host that comes back with another key is followed', async () => {
    const net = network('encrypted');
    const [a, b] = [await started(host(0), net), await started(host(1), net)];
    await reached(a, v4(b));
    const before = publicKey(host(1));
    await host(1).killAgent();
    await rm(join(host(1).dataRoot, 'wireguard'), { recursive: true });
    await host(1).startAgent();
    expect(publicKey(host(1))).not.toBe(before);
    networks.retell(net);
    await reached(a, v4(b));
    expect(inHost(host(1), 'ip', '-6', 'addr', 'show', 'dev', deviceOf(host(1)))).toContain(
      innerAddress(publicKey(host(1))),
    );
  });
});

function ends(from: containerV1.ContainerRecord, to: containerV1.ContainerRecord) {
  const place = (record: containerV1.ContainerRecord) => ({
    ip: v4(record),
    mac: record.endpoints[0]?.macAddress ?? '',
  });
  return { from: place(from), to: place(to) };
}

/** Does it again until it shows. */
async function until(act: () => void, count: () => number): Promise<void> {
  const seen = (): number => {
    act();
    return count();
  };
  await expect.poll(seen).toBeGreaterThan(0);
}

/** Of an interface, as the host knows itself. */
function place(where: TestHost, device: string) {
  const said = inHost(where, 'ip', 'addr', 'show', 'dev', device);
  return {
    ip: where.overlayIp,
    mac: /link\/ether (\S+)/.exec(said)?.[1] ?? '',
    ipv6: /fe80[0-9a-f:]*/.exec(said)?.[0] ?? '',
  };
}

/** From the first host to the second, past the rules of the first. */
function inject(way: 'over IPv4' | 'over IPv6', packet: Buffer): void {
  const [from, to] = [place(host(0), 'under'), place(host(1), 'under')];
  const frame =
    way === 'over IPv4'
      ? udpFrame(from, to, 4789, packet)
      : udp6Frame({ ...from, ip: from.ipv6 }, { ...to, ip: to.ipv6 }, 4789, packet);
  expect(inHost(host(0), buildProbe(), 'frame', 'under', frame.toString('hex'))).toBe('ok\n');
}

function sender(address: string, text: string): string {
  return `require('dgram').createSocket('udp4').send('${text}', 9, '${address}', () => process.exit())`;
}

/** From the host itself. Throws what the kernel says. */
function sendUdp(where: TestHost, address: string, port: number, data: Buffer): void {
  const kind = address.includes(':') ? 'udp6' : 'udp4';
  const script = `require('dgram').createSocket('${kind}').send(Buffer.from('${data.toString('hex')}', 'hex'), ${port}, '${address}', (e) => { if (e) throw e; process.exit(); })`;
  execFileSync('nsenter', [`--net=/run/netns/${where.name}`, process.execPath, '-e', script], { stdio: 'pipe' });
}

/** What comes to UDP port 9 of a container. */
async function listen(record: containerV1.ContainerRecord) {
  const script = `const s = require('dgram').createSocket('udp4'); s.on('message', (m) => console.log(String(m))); s.bind(9, () => console.log('bound'));`;
  const child = spawn('nsenter', [`--net=/proc/${pids.get(record.id)}/ns/net`, process.execPath, '-e', script]);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  await expect.poll(() => text).toContain('bound\n');
  return {
    count: () => text.split('\n').filter((line) => line === MARK).length,
    has: (line: string) => text.includes(`${line}\n`),
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { type containerV1, networkV1, nodeV1 } from '@atoll/proto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { buildProbe } from '../runtime/testing/shim-binary.ts';
import { TestHost } from '../testing/test-host.ts';
import { TestNetworks } from '../testing/test-networks.ts';
import { TestUnderlay } from '../testing/test-underlay.ts';
import { bridgeNameOf } from './bridge.ts';
import { sctpInit } from './testing/attacker.ts';

type Port = Partial<networkV1.ForwardedPort>;

const execute = promisify(execFile);
const POLL = { timeout: 15_000 };
const PORT = 18_100;

let underlay: TestUnderlay;
let hosts: TestHost[];
let networks: TestNetworks;
let made: [TestHost, containerV1.ContainerRecord][] = [];
let started: ChildProcess[] = [];

beforeAll(async () => {
  underlay = new TestUnderlay();
  const attach = (namespace: string): string => {
    const address = underlay.attach(namespace);
    execFileSync('ip', ['-n', namespace, 'addr', 'add', `${six(address)}/64`, 'dev', 'under', 'nodad']);
    return address;
  };
  hosts = [];
  for (const nodeId of ['node-1', 'node-2', 'node-3']) hosts.push(await TestHost.create({ nodeId, attach }));
  networks = new TestNetworks(hosts);
}, 120_000);
afterEach(async () => {
  for (const child of started) child.kill('SIGKILL');
  started = [];
  for (const { scheduler } of hosts) {
    scheduler.ports = undefined;
    scheduler.tellPorts(networkV1.PortState.fromPartial({ complete: true }));
  }
  for (const [where, record] of made) await where.remove(record);
  made = [];
});
afterAll(async () => {
  const ends = await Promise.allSettled((hosts ?? []).map((host) => host.dispose()));
  underlay?.dispose();
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}, 120_000);

const six = (address: string): string => `fd00:233::${address.split('.')[3]}`;
const host = (index: number): TestHost => hosts[index] as TestHost;
const [OWNER, OTHER, THIRD] = [0, 1, 2];

function inHost(where: TestHost, ...command: string[]): string {
  return execFileSync('nsenter', [`--net=/run/netns/${where.name}`, ...command], { encoding: 'utf8', stdio: 'pipe' });
}
const table = (where: TestHost): string => inHost(where, 'nft', 'list', 'table', 'ip', bridgeNameOf(where.nodeId));

/** A container of the owner that runs and has the port published; the others are told. */
async function published(
  argv: readonly string[],
  protocol: 'tcp' | 'udp' | 'sctp' = 'tcp',
  where = host(OWNER),
): Promise<containerV1.ContainerRecord> {
  const ports = [{ containerPort: 80, protocol, hostIp: '', hostPort: PORT }];
  const record = where.record(argv, { network: { mode: 'bridge', ports } });
  await run(where, record);
  tellOthers(where, { protocol });
  return record;
}

async function run(where: TestHost, record: containerV1.ContainerRecord): Promise<void> {
  made.push([where, record]);
  await where.ensure(record);
  await where.start(record);
}

function tellOthers(owner: TestHost, more: Port = {}): void {
  const port = { protocol: 'tcp', hostPort: PORT, hostIp: owner.overlayIp, hostIpv6: '', ...more };
  for (const one of hosts) {
    const told = networkV1.PortState.fromPartial({ complete: true, ports: one === owner ? [] : [port] });
    one.scheduler.ports = told;
    one.scheduler.tellPorts(told);
  }
}

/** What a server says to who asks from a namespace; undefined when nothing comes. */
function asks(net: string, address: string, ...more: string[]): Promise<string | undefined> {
  const command = ['busybox', 'nc', '-w', '2', ...more, address, String(PORT)];
  return execute('nsenter', [`--net=${net}`, ...command]).then(
    ({ stdout }) => stdout.trim() || undefined,
    () => undefined,
  );
}
const from = (where: TestHost): string => `/run/netns/${where.name}`;
const OUTSIDE = '/proc/self/ns/net';

async function fromInside(record: containerV1.ContainerRecord): Promise<string> {
  const where = hosts.find(({ nodeId }) => nodeId === record.nodeId) as TestHost;
  return `/proc/${(await where.runtime.getStatus({ containerId: record.id })).status?.pid}/ns/net`;
}

/** Whether a new connection through the other host gets a word of its server. */
async function talks(): Promise<boolean> {
  const { child, said } = speaker('busybox', 'nc', '-w', '2', host(OTHER).hostIp, String(PORT));
  await Promise.race([once(child, 'exit'), once(child.stdout as NodeJS.ReadableStream, 'data')]);
  child.kill('SIGKILL');
  return said().includes('hello');
}

/** A UDP server inside a container that answers everything with a word. */
async function answering(record: containerV1.ContainerRecord, word: string): Promise<void> {
  const script = `const s = require('dgram').createSocket('udp4'); s.on('message', (m, f) => s.send('${word}', f.port, f.address)); s.bind(80)`;
  speaker('nsenter', `--net=${await fromInside(record)}`, process.execPath, '-e', script);
}

/** What a UDP server says to the third host; empty when nothing comes within a second. */
async function asksByUdp(address: string): Promise<string> {
  const script = `const s = require('dgram').createSocket('udp4'); s.on('message', (m) => { console.log(String(m)); process.exit(); }); s.send('x', ${PORT}, '${address}'); setTimeout(() => process.exit(), 1000)`;
  const command = [`--net=${from(host(THIRD))}`, process.execPath, '-e', script];
  return (await execute('nsenter', command)).stdout.trim();
}

/** How many UDP packets have come to the port at a host since then. */
function countPackets(where: TestHost): () => number {
  const chain = 'add table ip probe; add chain ip probe c { type filter hook prerouting priority -350; }';
  inHost(where, 'nft', `${chain}; add rule ip probe c udp dport ${PORT} counter`);
  return () => Number(/packets (\d+)/.exec(inHost(where, 'nft', 'list', 'table', 'ip', 'probe'))?.[1]);
}

/** A server that tells each client where it comes from. */
const SERVER = [
  'nc', '-ll', '-p', '80', '-e', 'sh', '-c',
  "netstat -tn | sed -n 's/.*:80 .*[: ]\\([0-9.]*\\):[0-9]* *ESTABLISHED.*/\\1/p' | tail -n 1",
]; // biome-ignore format: one command
/** A child that says things, with what it has said. */
function speaker(...command: string[]): { readonly child: ChildProcess; said: () => string } {
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
  started.push(child);
  let text = '';
  child.stdout?.on('data', (piece) => {
    text += String(piece);
  });
  return { child, said: () => text };
}

describe('a port of another host', { timeout: 120_000 }, () => {
  test('answers at every host: from outside, from hosts, from containers there and from the container itself', async () => {
    const record = await published(['nc', '-ll', '-p', '80', '-e', 'echo', 'hello']);
    const neighbour = host(OWNER).record(['sleep', '600'], { network: { mode: 'bridge' } });
    const stranger = host(OTHER).record(['sleep', '600'], { network: { mode: 'bridge' } });
    await run(host(OWNER), neighbour);
    await run(host(OTHER), stranger);
    for (const { hostIp } of hosts) await expect.poll(() => asks(OUTSIDE, hostIp), POLL).toBe('hello');
    const clients = [...hosts.map(from), ...(await Promise.all([record, neighbour, stranger].map(fromInside)))];
    for (const client of clients) {
      for (const { overlayIp } of hosts) expect(await asks(client, overlayIp), `${client} ${overlayIp}`).toBe('hello');
    }
    await host(OWNER).scheduler.order({ action: nodeV1.Action.STOP, record, timeoutSeconds: 0n });
    for (const one of [OTHER, THIRD]) {
      host(one).scheduler.tellPorts(networkV1.PortState.fromPartial({ gone: [{ protocol: 'tcp', hostPort: PORT }] }));
    }
    for (const { hostIp } of hosts) await expect.poll(() => asks(OUTSIDE, hostIp), POLL).toBe(undefined);
    expect(table(host(OTHER))).not.toContain(String(PORT));
  });

  test('the container sees the client at its own host, and the forwarding host elsewhere', async () => {
    await published(SERVER);
    await expect.poll(() => asks(from(host(THIRD)), host(OWNER).overlayIp), POLL).toBe(host(THIRD).overlayIp);
    await expect.poll(() => asks(from(host(THIRD)), host(OTHER).overlayIp), POLL).toBe(host(OTHER).overlayIp);
  });

  test('UDP', async () => {
    const record = await published(['sleep', '600'], 'udp');
    await answering(record, 'hello');
    for (const { overlayIp } of hosts) await expect.poll(() => asksByUdp(overlayIp), POLL).toBe('hello');
  });

  test('UDP of a client that never rests: to the container once it is there, and to the next one', async () => {
    const script = `const s = require('dgram').createSocket('udp4');
      s.on('message', (m) => console.log(String(m))); s.on('error', () => {});
      s.bind(40123, () => setInterval(() => s.send('x', ${PORT}, '${host(OTHER).overlayIp}'), 50));`;
    const client = speaker('nsenter', `--net=${from(host(THIRD))}`, process.execPath, '-e', script);
    // Its flow is known before anything is published.
    const count = countPackets(host(OTHER));
    await expect.poll(count, POLL).toBeGreaterThan(3);
    const first = await published(['sleep', '600'], 'udp');
    await answering(first, 'first');
    await expect.poll(client.said, POLL).toContain('first');
    await host(OWNER).remove(first);
    made = [];
    const second = await published(['sleep', '600'], 'udp', host(THIRD));
    await answering(second, 'second');
    await expect.poll(client.said, POLL).toContain('second');
    await host(THIRD).remove(second);
    made = [];
    await answering(await published(['sleep', '600'], 'udp', host(OTHER)), 'third');
    await expect.poll(client.said, POLL).toContain('third');
  });

  test('SCTP: its packets arrive; they are made by hand, for kernels without such sockets have the translation too', async () => {
    const record = await published(['sleep', '600'], 'sctp');
    const inside = await fromInside(record);
    const count = (rule: string) => execFileSync('nsenter', [`--net=${inside}`, 'nft', rule], { encoding: 'utf8' });
    count(
      'add table ip seen; add chain ip seen c { type filter hook input priority 0; }; add rule ip seen c sctp dport 80 counter',
    );
    const mac = (where: TestHost): string =>
      /ether (\S+)/.exec(inHost(where, 'ip', 'link', 'show', 'under'))?.[1] ?? '';
    const from = { ip: host(THIRD).overlayIp, mac: mac(host(THIRD)) };
    for (const [sent, one] of [host(OWNER), host(OTHER)].entries()) {
      const frame = sctpInit(from, { ip: one.overlayIp, mac: mac(one) }, PORT).toString('hex');
      expect(inHost(host(THIRD), buildProbe(), 'frame', 'under', frame)).toBe('ok\n');
      await expect.poll(() => count('list table ip seen'), POLL).toContain(`packets ${sent + 1} `);
    }
  });

  test('IPv6, to a container that has it', async () => {
    const net = networks.create({
      subnets: [
        { cidr: '10.217.9.0/24', gateway: '10.217.9.1' },
        { cidr: 'fd00:2179::/64', gateway: 'fd00:2179::1' },
      ],
      ipv6: true,
    });
    const ports = [{ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: PORT }];
    const serve = ['nc', '-ll', '-p', '80', '-e', 'echo', 'hello'];
    const record = networks.connect(host(OWNER).record(serve, { network: { mode: net.name, ports } }), net);
    await run(host(OWNER), record);
    expect(host(OWNER).scheduler.hello?.facts?.hostIpv6).toBe(six(host(OWNER).overlayIp));
    tellOthers(host(OWNER), { hostIpv6: six(host(OWNER).overlayIp) });
    for (const { overlayIp } of hosts) {
      await expect.poll(() => asks(from(host(THIRD)), six(overlayIp)), POLL).toBe('hello');
      await expect.poll(() => asks(from(host(THIRD)), overlayIp), POLL).toBe('hello');
    }
    inHost(host(OTHER), 'nft', 'delete', 'table', 'ip6', bridgeNameOf(host(OTHER).nodeId));
    await expect.poll(() => asks(from(host(THIRD)), six(host(OTHER).overlayIp)), POLL).toBe('hello');
    await host(OWNER).remove(record);
    made = [];
    networks.remove(net);
  });

  test('goes on to where the container is now', async () => {
    const first = await published(['nc', '-ll', '-p', '80', '-e', 'echo', 'first']);
    await expect.poll(() => asks(OUTSIDE, host(OTHER).hostIp), POLL).toBe('first');
    await host(OWNER).remove(first);
    made = [];
    await published(['nc', '-ll', '-p', '80', '-e', 'echo', 'second'], 'tcp', host(THIRD));
    for (const { hostIp } of hosts) await expect.poll(() => asks(OUTSIDE, hostIp), POLL).toBe('second');
  });

  test('is left to a program of the host that listens, until it does no more', async () => {
    const listener = speaker('nsenter', `--net=${from(host(OTHER))}`, 'busybox', 'nc', '-ll', '-p', String(PORT), '-e', 'echo', 'mine'); // biome-ignore format: one command
    await expect.poll(() => inHost(host(OTHER), 'ss', '-ltn'), POLL).toContain(`:${PORT}`);
    const own = `require('net').createServer((s) => s.end('own')).listen(${PORT}, '127.0.0.1')`;
    const loopback = speaker('nsenter', `--net=${from(host(THIRD))}`, process.execPath, '-e', own);
    await expect.poll(() => inHost(host(THIRD), 'ss', '-ltn'), POLL).toContain(`127.0.0.1:${PORT}`);
    await published(['nc', '-ll', '-p', '80', '-e', 'echo', 'hello']);
    for (const one of [OWNER, THIRD]) await expect.poll(() => asks(OUTSIDE, host(one).hostIp), POLL).toBe('hello');
    expect(await asks(from(host(THIRD)), '127.0.0.1')).toBe('own');
    expect(await asks(OUTSIDE, host(OTHER).hostIp)).toBe('mine');
    expect(host(OTHER).output).toContain('a program of this host has the port; it is not forwarded from here');
    for (const { child } of [listener, loopback]) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    tellOthers(host(OWNER));
    await expect.poll(() => asks(OUTSIDE, host(OTHER).hostIp), POLL).toBe('hello');
  });

  test.each([
    ['all rules flushed', ['nft', 'flush', 'ruleset']],
    ['the chain of ports flushed', ['nft', 'flush', 'chain', 'ip', 'BRIDGE', 'ports']],
    ['the table deleted', ['nft', 'delete', 'table', 'ip', 'BRIDGE']],
  ])('E33: %s: forwarded again a moment later', async (_name, command) => {
    await published(['nc', '-ll', '-p', '80', '-e', 'echo', 'hello']);
    await expect.poll(() => asks(OUTSIDE, host(OTHER).hostIp), POLL).toBe('hello');
    const before = table(host(OTHER));
    inHost(host(OTHER), ...command.map((word) => (word === 'BRIDGE' ? bridgeNameOf(host(OTHER).nodeId) : word)));
    await expect.poll(() => asks(OUTSIDE, host(OTHER).hostIp), POLL).toBe('hello');
    await expect.poll(() => table(host(OTHER)), POLL).toBe(before);
  });

  test('is forwarded after a restart of the agent without a scheduler that says so; open connections go on', async () => {
    await published(['nc', '-ll', '-p', '80', '-e', 'sh', '-c', 'echo hello; cat']);
    await expect.poll(() => talks(), POLL).toBe(true);
    const client = speaker('busybox', 'nc', host(OTHER).hostIp, String(PORT));
    client.child.stdin?.write('before\n');
    await expect.poll(client.said, POLL).toContain('before');
    host(OTHER).scheduler.ports = undefined;
    await host(OTHER).killAgent();
    client.child.stdin?.write('without\n');
    await expect.poll(client.said, POLL).toContain('without');
    inHost(host(OTHER), 'nft', 'delete', 'table', 'ip', bridgeNameOf(host(OTHER).nodeId));
    await host(OTHER).startAgent();
    client.child.stdin?.write('after\n');
    await expect.poll(client.said, POLL).toContain('after');
    await expect.poll(() => talks(), POLL).toBe(true);
  });

  test('F36: a cable that is cut and mended', async () => {
    await published(['nc', '-ll', '-p', '80', '-e', 'echo', 'hello']);
    const { overlayIp } = host(OTHER);
    await expect.poll(() => asks(from(host(OTHER)), overlayIp), POLL).toBe('hello');
    underlay.setLink(host(OWNER).overlayIp, false);
    expect(await asks(from(host(OTHER)), overlayIp)).toBe(undefined);
    underlay.setLink(host(OWNER).overlayIp, true);
    await expect.poll(() => asks(from(host(OTHER)), overlayIp), POLL).toBe('hello');
  });

  test('half a state is not carried out, and one that is wrong changes nothing', async () => {
    await published(['nc', '-ll', '-p', '80', '-e', 'echo', 'hello']);
    await expect.poll(() => asks(OUTSIDE, host(OTHER).hostIp), POLL).toBe('hello');
    const { scheduler } = host(OTHER);
    const tell = (state: Parameters<typeof networkV1.PortState.fromPartial>[0]): void =>
      scheduler.tellPorts(networkV1.PortState.fromPartial(state));
    const port = (hostPort: number, protocol = 'tcp') => ({ protocol, hostPort, hostIp: host(OWNER).overlayIp });
    tell({ ports: [port(18_101, 'icmp')] });
    tell({ complete: true, more: true, ports: [port(18_102)] });
    await expect.poll(() => host(OTHER).output, POLL).toContain('invalid proto: icmp');
    expect(table(host(OTHER))).not.toContain('18102');
    expect(await asks(OUTSIDE, host(OTHER).hostIp)).toBe('hello');
    tell({ ports: [port(PORT), port(18_103)] });
    await expect.poll(() => table(host(OTHER)), POLL).toContain('18103');
    expect(table(host(OTHER))).toContain('18102');
    expect(await asks(OUTSIDE, host(OTHER).hostIp)).toBe('hello');
  });
});

describe("the host's own firewall (moby issue 22054)", { timeout: 120_000 }, () => {
  /** As docs/networking.md shows them. */
  const rules = {
    'before the translation': `c { type filter hook prerouting priority mangle; };
      add rule inet own c tcp dport ${PORT} ip saddr != ALLOWED drop`,
    'where packets are forwarded': `c { type filter hook forward priority filter; };
      add rule inet own c ct direction original meta l4proto tcp ct original proto-dst ${PORT} ip saddr != ALLOWED drop`,
  };

  test.each(Object.entries(rules))('a rule %s lets one client pass and drops others', async (_name, rule) => {
    await published(['nc', '-ll', '-p', '80', '-e', 'echo', 'hello']);
    for (const where of [host(OWNER), host(OTHER)]) {
      const [client, other] = where === host(OWNER) ? [host(OTHER), host(THIRD)] : [host(THIRD), host(OWNER)];
      const ask = (one: TestHost) => asks(from(one), where.overlayIp);
      for (const one of [client, other]) await expect.poll(() => ask(one), POLL).toBe('hello');
      inHost(where, 'nft', `add table inet own; add chain inet own ${rule.replace('ALLOWED', other.overlayIp)}`);
      try {
        expect(await ask(client)).toBe(undefined);
        expect(await ask(other)).toBe('hello');
      } finally {
        inHost(where, 'nft', 'delete', 'table', 'inet', 'own');
      }
      expect(await ask(client)).toBe('hello');
    }
  });
});

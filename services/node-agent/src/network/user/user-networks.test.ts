import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { containerV1, type networkV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestHost } from '../../testing/test-host.ts';
import { reconnect, TestNetworks } from '../../testing/test-networks.ts';
import { TestUnderlay } from '../../testing/test-underlay.ts';
import { bridgeNameOf } from '../bridge.ts';
import { networksTable } from './networks-ruleset.ts';
import { bridgeOf, vxlanOf } from './overlay-device.ts';

const S = containerV1.ContainerState;

let underlay: TestUnderlay;
let hosts: TestHost[];
let networks: TestNetworks;
const running: [TestHost, containerV1.ContainerRecord][] = [];

beforeAll(async () => {
  underlay = new TestUnderlay();
  const attach = (namespace: string): string => underlay.attach(namespace);
  hosts = [
    // Networks join containers of nodes that remap ids, whom most of the attacks come from, with those of others.
    await TestHost.create({ nodeId: 'node-1', attach, userNamespaces: 'with' }),
    await TestHost.create({ nodeId: 'node-2', attach }),
    await TestHost.create({ nodeId: 'node-3', attach }),
  ];
  networks = new TestNetworks(hosts);
}, 120_000);
afterAll(async () => {
  const ends = await Promise.allSettled((hosts ?? []).map((host) => host.dispose()));
  underlay?.dispose();
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}, 120_000);

const host = (index: number): TestHost => hosts[index] as TestHost;

/** A container in these networks that runs. */
async function started(
  where: TestHost,
  name: string,
  nets: readonly networkV1.NetworkRecord[],
  argv: readonly string[] = ['sleep', '600'],
  asked: Parameters<TestNetworks['connect']>[2] = {},
): Promise<containerV1.ContainerRecord> {
  const mode = nets[0]?.name ?? 'none';
  let record = where.record(argv, { name, network: { mode, hostname: name, dns: [host(1).overlayIp] } });
  for (const net of nets) record = networks.connect(record, net, asked);
  await where.ensure(record);
  await where.start(record);
  running.push([where, record]);
  return record;
}

async function removed(...records: readonly containerV1.ContainerRecord[]): Promise<void> {
  for (const record of records) await hosts.find(({ nodeId }) => nodeId === record.nodeId)?.remove(record);
}

/** Agents are asked once: they may be dead later. */
const pids = new Map<string, number>();

async function pidOf(record: containerV1.ContainerRecord): Promise<number> {
  const key = `${record.nodeId} ${record.id}`;
  if (!pids.get(key)) pids.set(key, await askPid(record));
  return pids.get(key) ?? 0;
}

async function askPid(record: containerV1.ContainerRecord): Promise<number> {
  const where = hosts.find(({ nodeId }) => nodeId === record.nodeId) as TestHost;
  return (await where.runtime.getStatus({ containerId: record.id })).status?.pid ?? 0;
}

const execute = promisify(execFile);

/** Runs a program of this machine in the container's network, while the schedulers of this process go on answering. */
async function inside(record: containerV1.ContainerRecord, ...command: string[]): Promise<string> {
  const net = `--net=/proc/${await pidOf(record)}/ns/net`;
  return (await execute('nsenter', [net, ...command])).stdout;
}

async function pings(from: containerV1.ContainerRecord, address: string, ...more: string[]): Promise<boolean> {
  return inside(from, 'busybox', 'ping', '-c', '1', '-W', '1', ...more, address).then(
    () => true,
    () => false,
  );
}

const reached = (from: containerV1.ContainerRecord, address: string) =>
  expect.poll(() => pings(from, address), { timeout: 10_000 }).toBe(true);

function inHost(where: TestHost, ...command: string[]): string {
  return execFileSync('nsenter', [`--net=/run/netns/${where.name}`, ...command], { encoding: 'utf8' });
}

/** Counts what a host gets at a UDP port from now on, in a table of the test's own. */
function countPackets(where: TestHost, port: number): () => number {
  const rule = `udp dport ${port} counter`;
  inHost(
    where,
    'nft',
    `add table inet probe${port}; add chain inet probe${port} c { type filter hook prerouting priority -350; }`,
  );
  inHost(where, 'nft', `flush chain inet probe${port} c; add rule inet probe${port} c ${rule}`);
  return () => Number(/packets (\d+)/.exec(inHost(where, 'nft', 'list', 'table', 'inet', `probe${port}`))?.[1]);
}

const v4 = (record: containerV1.ContainerRecord, index = 0): string => record.endpoints[index]?.ipv4Address ?? '';
const v6 = (record: containerV1.ContainerRecord, index = 0): string => record.endpoints[index]?.ipv6Address ?? '';

const dual = {
  subnets: [
    { cidr: '10.217.3.0/24', gateway: '10.217.3.1' },
    { cidr: 'fd00:217::/64', gateway: 'fd00:217::1' },
  ],
  ipv6: true,
};

describe('a network over three hosts', { timeout: 120_000 }, () => {
  test('joins its containers by IPv4 and IPv6, with the MTU that is left, and a gateway on each host', async () => {
    const net = networks.create(dual);
    const [a, b, c] = [
      await started(host(0), 'a', [net]),
      await started(host(1), 'b', [net]),
      await started(host(1), 'c', [net]),
    ];
    for (const [from, to] of [
      [a, b],
      [b, a],
      [b, c],
      [a, c],
    ] as const) {
      await reached(from, v4(to));
      await reached(from, v6(to));
    }
    await reached(a, '10.217.3.1');
    await reached(b, 'fd00:217::1');
    expect(await inside(a, 'cat', '/proc/self/net/dev')).toContain('eth0');
    expect(await inside(a, 'ip', 'link', 'show', 'eth0')).toContain('mtu 1450');
    // The whole MTU passes, a byte more does not leave.
    expect(await pings(a, v4(b), '-s', '1422')).toBe(true);
    expect(await inside(a, 'ip', 'neigh', 'show', v4(b))).toContain(b.endpoints[0]?.macAddress);
    await removed(a, b, c);
    networks.remove(net);
    for (const where of hosts) await expect.poll(() => inHost(where, 'ip', 'link')).not.toMatch(/at[nx][0-9a-f]{8}/);
    await expect.poll(() => inHost(host(0), 'nft', 'list', 'tables')).not.toContain('networks');
  });

  test('floods nothing: a host without the addressee gets no packet', async () => {
    const net = networks.create();
    const [a, b, c] = [
      await started(host(0), 'a', [net]),
      await started(host(1), 'b', [net]),
      await started(host(2), 'c', [net]),
    ];
    await reached(a, v4(b));
    await reached(c, v4(b));
    const atThird = countPackets(host(2), 4789);
    const atSecond = countPackets(host(1), 4789);
    for (let count = 0; count < 5; count++) expect(await pings(a, v4(b))).toBe(true);
    // Nobody has it, and nobody is asked.
    expect(await pings(a, v4(a).replace(/\d+$/, '200'))).toBe(false);
    expect([atThird(), atSecond()]).toEqual([0, 5]);
    await removed(a, b, c);
    networks.remove(net);
  });

  test('hosts come to those whose packets are taken, and go, while the table stays as it was written', async () => {
    const net = networks.create();
    const table = networksTable(bridgeNameOf(host(0).nodeId));
    const written = (): string | undefined =>
      /# handle (\d+)/.exec(inHost(host(0), 'nft', '-a', '-t', 'list', 'table', 'inet', table))?.[0];
    const taken = (): string => inHost(host(0), 'nft', 'list', 'set', 'inet', table, 'tunnels');
    const a = await started(host(0), 'a', [net]);
    await expect.poll(taken).toContain(host(0).overlayIp);
    const before = written();
    expect(before).toBeDefined();
    const b = await started(host(1), 'b', [net]);
    await expect.poll(taken).toContain(host(1).overlayIp);
    await reached(b, v4(a));
    networks.disconnect(b, net);
    // It may be gone a while before it is forgotten.
    await expect.poll(taken).not.toContain(host(1).overlayIp);
    expect(taken()).toContain(host(0).overlayIp);
    expect(written()).toBe(before);
    await removed(a, b);
    networks.remove(net);
  });

  test('a container that moves is found at its new host', async () => {
    const net = networks.create();
    const a = await started(host(0), 'a', [net]);
    const b = await started(host(1), 'b', [net]);
    await reached(a, v4(b));
    await host(1).remove(b);
    const moved = networks.move(b, host(2));
    await host(2).ensure(moved);
    await host(2).start(moved);
    await expect.poll(() => pings(a, v4(b)), { timeout: 2_000 }).toBe(true);
    await reached(moved, v4(a));
    const home = networks.move({ ...moved }, host(0));
    await host(2).remove(moved);
    await host(0).ensure(home);
    await host(0).start(home);
    await expect.poll(() => pings(a, v4(b)), { timeout: 2_000 }).toBe(true);
    await removed(a, home);
    networks.remove(net);
  });

  test('a cut cable heals', async () => {
    const net = networks.create();
    const [a, b] = [await started(host(0), 'a', [net]), await started(host(1), 'b', [net])];
    await reached(a, v4(b));
    underlay.setLink(host(1).overlayIp, false);
    expect(await pings(a, v4(b))).toBe(false);
    underlay.setLink(host(1).overlayIp, true);
    await reached(a, v4(b));
    await removed(a, b);
    networks.remove(net);
  });
});

describe('isolation', { timeout: 120_000 }, () => {
  test('containers of different networks do not reach each other, on one host or two, by IPv4 or IPv6', async () => {
    const one = networks.create(dual);
    const two = networks.create({
      subnets: [
        { cidr: '10.217.9.0/24', gateway: '10.217.9.1' },
        { cidr: 'fd00:219::/64', gateway: 'fd00:219::1' },
      ],
      ipv6: true,
    });
    const [a, near, far] = [
      await started(host(0), 'a', [one]),
      await started(host(0), 'near', [two]),
      await started(host(1), 'far', [two]),
    ];
    const bridged = host(0).record(['sleep', '600'], { network: { mode: 'bridge' } });
    await host(0).ensure(bridged);
    const { ipAddress } = await host(0).start(bridged);
    await reached(near, v4(far));
    for (const [from, to] of [
      [a, near],
      [near, a],
      [a, far],
      [far, a],
    ] as const) {
      expect([await pings(from, v4(to)), await pings(from, v6(to))]).toEqual([false, false]);
    }
    expect(await pings(a, ipAddress)).toBe(false);
    expect(await pings(bridged, v4(a))).toBe(false);
    // Control: without the rules the host routes between them.
    await host(0).killAgent();
    inHost(host(0), 'nft', 'flush', 'ruleset');
    await reached(a, v4(near));
    await reached(a, v6(near));
    await host(0).startAgent();
    await expect.poll(() => pings(a, v4(near)), { timeout: 10_000 }).toBe(false);
    // E33: an agent that runs sees it and writes them anew.
    const table = (): string => inHost(host(0), 'nft', 'list', 'tables');
    for (const way of ['flush ruleset', `delete table inet ${/inet (\S+_networks)/.exec(table())?.[1]}`]) {
      inHost(host(0), 'nft', ...way.split(' '));
      await expect
        .poll(table, { timeout: 10_000 })
        .toMatch(/table ip atoll[\s\S]*inet \S+_networks|inet \S+_networks[\s\S]*table ip atoll/);
      expect(await pings(a, v4(near))).toBe(false);
    }
    await removed(a, near, far, bridged);
    networks.remove(one);
    networks.remove(two);
  });

  test('an internal network has no way out, others have one', async () => {
    const inner = networks.create({ internal: true });
    const outer = networks.create();
    const [a, b, c] = [
      await started(host(0), 'a', [inner]),
      await started(host(1), 'b', [inner]),
      await started(host(0), 'c', [outer]),
    ];
    await reached(a, v4(b));
    expect(await inside(a, 'ip', 'route')).not.toContain('default');
    await inside(a, 'ip', 'route', 'add', 'default', 'dev', 'eth0');
    expect(await pings(a, host(1).overlayIp)).toBe(false);
    expect(await pings(a, host(0).overlayIp)).toBe(false);
    await reached(c, host(1).overlayIp);
    // E32: its questions do not leave either.
    const questions = countPackets(host(1), 53);
    const lookUp = (from: containerV1.ContainerRecord): Promise<unknown> =>
      inside(from, 'busybox', 'nslookup', 'secret.example.', '127.0.0.11').catch(() => undefined);
    await lookUp(a);
    expect(questions()).toBe(0);
    await lookUp(c);
    expect(questions()).toBeGreaterThan(0);
    await removed(a, b, c);
    networks.remove(inner);
    networks.remove(outer);
  });

  test('foreign source addresses, and packets of the tunnel itself, do not leave a container', async () => {
    const net = networks.create();
    const [a, b] = [await started(host(0), 'a', [net]), await started(host(1), 'b', [net])];
    await inside(a, 'ip', 'addr', 'add', '192.0.2.7/32', 'dev', 'eth0');
    expect(await pings(a, host(1).overlayIp)).toBe(true);
    expect(await pings(a, host(1).overlayIp, '-I', '192.0.2.7')).toBe(false);
    const script = (to: string, port: number): string =>
      `require('dgram').createSocket('udp4').send('x', ${port}, '${to}', () => process.exit())`;
    const [control, tunnel] = [countPackets(host(1), 4788), countPackets(host(1), 4789)];
    await inside(a, process.execPath, '-e', script(host(1).overlayIp, 4789));
    await inside(a, process.execPath, '-e', script(host(1).overlayIp, 4788));
    await expect.poll(control).toBe(1);
    expect(tunnel()).toBe(0);
    await removed(a, b);
    networks.remove(net);
  });
});

describe('a running container', { timeout: 120_000 }, () => {
  test('is connected to further networks and disconnected from them', async () => {
    const [one, two] = [networks.create(), networks.create()];
    const other = await started(host(1), 'other', [two]);
    const first = await started(host(0), 'a', [one]);
    expect(await pings(first, v4(other))).toBe(false);
    const both = networks.connect(first, two, { gwPriority: 5 });
    await reconnect(host(0), both);
    await reached(both, v4(other));
    expect(await inside(both, 'ip', 'route')).toContain(`default via ${two.subnets[0]?.gateway} dev eth1`);
    await host(0).killAgent();
    await host(0).startAgent();
    await reconnect(host(0), both);
    expect(await pings(both, v4(other))).toBe(true);
    const back = networks.disconnect(both, two);
    await reconnect(host(0), back);
    expect(await inside(back, 'ip', 'link')).not.toContain('eth1');
    expect(await inside(back, 'ip', 'route')).toContain(`default via ${one.subnets[0]?.gateway} dev eth0`);
    await removed(back, other);
    networks.remove(one);
    networks.remove(two);
  });

  test('on the default bridge gets names with its first network of a user', async () => {
    const net = networks.create();
    const other = await started(host(1), 'other', [net]);
    const plain = host(0).record(['sleep', '600'], { network: { mode: 'bridge' } });
    await host(0).ensure(plain);
    await host(0).start(plain);
    const both = networks.connect(plain, net);
    await reconnect(host(0), both);
    await reached(both, v4(other));
    const resolv = execFileSync(
      'nsenter',
      [`--mount=/proc/${await pidOf(both)}/ns/mnt`, '/bin/cat', '/etc/resolv.conf', '/etc/hosts'],
      { encoding: 'utf8' },
    );
    expect(resolv).toContain('nameserver 127.0.0.11');
    expect(resolv).toContain(v4(both));
    await removed(both, other);
    networks.remove(net);
  });

  test('publishes its ports at its address in the network', async () => {
    const net = networks.create(dual);
    const ports = [{ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 18_090 }];
    const server = ['nc', '-ll', '-p', '80', '-e', 'echo', 'hello'];
    let record = host(0).record(server, { name: 'web', network: { mode: net.name, ports } });
    record = networks.connect(record, net);
    await host(0).ensure(record);
    await host(0).start(record);
    const ask = (address = host(0).overlayIp): string => inHost(host(1), 'busybox', 'nc', '-w', '2', address, '18090');
    await expect.poll(() => ask(), { timeout: 10_000 }).toBe('hello\n');
    for (const [index, where] of [host(0), host(1)].entries()) {
      inHost(where, 'ip', 'addr', 'add', `fd00:233::${index + 1}/64`, 'dev', 'under', 'nodad');
    }
    await expect.poll(() => ask('fd00:233::1'), { timeout: 10_000 }).toBe('hello\n');
    await host(0).killAgent();
    await host(0).startAgent();
    await expect.poll(() => ask(), { timeout: 10_000 }).toBe('hello\n');
    expect(ask('fd00:233::1')).toBe('hello\n');
    await removed(record);
    expect(() => ask()).toThrow();
    expect(() => ask('fd00:233::1')).toThrow();
    networks.remove(net);
  });

  test('keeps its connections while its agent is killed and comes back', async () => {
    const net = networks.create();
    const a = await started(host(0), 'a', [net]);
    const b = await started(host(1), 'b', [net], ['nc', '-ll', '-p', '7', '-e', 'cat']);
    await reached(a, v4(b));
    const talk = spawn('nsenter', [`--net=/proc/${await pidOf(a)}/ns/net`, 'busybox', 'nc', v4(b), '7']);
    try {
      await echoes(talk, 'before');
      await host(0).killAgent();
      await host(1).killAgent();
      await echoes(talk, 'without an agent');
      await host(0).startAgent();
      await host(1).startAgent();
      await echoes(talk, 'after');
    } finally {
      talk.kill('SIGKILL');
    }
    await removed(a, b);
    networks.remove(net);
  });

  test('devices, entries and rules somebody removed come back with the next agent', async () => {
    const net = networks.create();
    const [a, b] = [await started(host(0), 'a', [net]), await started(host(1), 'b', [net])];
    await reached(a, v4(b));
    await host(0).killAgent();
    inHost(host(0), 'ip', 'link', 'del', vxlanOf(net.id));
    inHost(host(0), 'bridge', 'link', 'show', 'dev', bridgeOf(net.id));
    await host(0).startAgent();
    await reached(a, v4(b));
    await removed(a, b);
    networks.remove(net);
  });

  test('of a network this host was not told of does not start', async () => {
    const net = networks.create();
    const record = host(0).record(['true'], { network: { mode: net.name } });
    const endpoint = { networkId: net.id, endpointId: 'e'.repeat(64), asked: { network: net.name } };
    const placed = containerV1.ContainerRecord.fromPartial({ ...record, endpoints: [endpoint] });
    await host(0).ensure(placed);
    const result = await host(0).scheduler.tryOrder({ action: nodeV1.Action.START, record: placed });
    expect(result).toMatchObject({ code: 9, message: expect.stringContaining('has not been told of network') });
    expect(result.status?.state).toBe(S.CREATED);
    await host(0).remove(placed);
  });
});

/** Sends a line and waits until it comes back. */
async function echoes(talk: ChildProcess, text: string): Promise<void> {
  let heard = '';
  const listen = (piece: Buffer): void => {
    heard += piece.toString();
  };
  talk.stdout?.on('data', listen);
  talk.stdin?.write(`${text}\n`);
  await expect.poll(() => heard, { timeout: 10_000 }).toContain(`${text}\n`);
  talk.stdout?.off('data', listen);
}

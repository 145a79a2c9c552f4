import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { containerV1, type networkV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildProbe } from '../../runtime/testing/shim-binary.ts';
import { TestHost } from '../../testing/test-host.ts';
import { reconnect, TestNetworks } from '../../testing/test-networks.ts';
import { TestUnderlay } from '../../testing/test-underlay.ts';
import { routerAdvertisement } from '../testing/ipv6-frames.ts';

const [NEIGHBOUR, NEIGHBOUR6] = ['10.233.0.250', 'fd00:233::250'];
/** On the hosts' own interface, in their own subnet; the gateway is a neighbour of theirs. */
const lan = {
  driver: 'macvlan',
  options: { parent: 'under' },
  vni: 0,
  ipv6: true,
  subnets: [
    { cidr: '10.233.0.0/24', gateway: NEIGHBOUR },
    { cidr: 'fd00:233::/64', gateway: NEIGHBOUR6 },
  ],
};

let underlay: TestUnderlay;
let hosts: TestHost[];
let networks: TestNetworks;
let next = 20;

beforeAll(async () => {
  underlay = new TestUnderlay();
  underlay.neighbour(`${NEIGHBOUR}/24`);
  underlay.neighbour(`${NEIGHBOUR6}/64`);
  const attach = (namespace: string): string => underlay.attach(namespace);
  hosts = [
    await TestHost.create({ nodeId: 'node-1', attach, userNamespaces: 'with' }),
    await TestHost.create({ nodeId: 'node-2', attach }),
  ];
  networks = new TestNetworks(hosts);
}, 120_000);
afterAll(async () => {
  const ends = await Promise.allSettled((hosts ?? []).map((host) => host.dispose()));
  underlay?.dispose();
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}, 120_000);

const host = (index: number): TestHost => hosts[index] as TestHost;

/** A macvlan network whose members' addresses no other test has. */
function createLan(more: Parameters<TestNetworks['create']>[0] = {}): networkV1.NetworkRecord {
  const first = next;
  next += 10;
  return networks.create({ ...lan, ...more }, first);
}

async function started(
  where: TestHost,
  name: string,
  nets: readonly networkV1.NetworkRecord[],
  spec: Parameters<TestHost['record']>[1] = {},
  argv: readonly string[] = ['sleep', '600'],
): Promise<containerV1.ContainerRecord> {
  let record = where.record(argv, { name, network: { mode: nets[0]?.name ?? 'bridge' }, ...spec });
  for (const net of nets) record = networks.connect(record, net);
  await where.ensure(record);
  await where.start(record);
  return record;
}

async function removed(...records: readonly containerV1.ContainerRecord[]): Promise<void> {
  for (const record of records) await hosts.find(({ nodeId }) => nodeId === record.nodeId)?.remove(record);
}

const execute = promisify(execFile);

async function inside(record: containerV1.ContainerRecord, ...command: string[]): Promise<string> {
  const where = hosts.find(({ nodeId }) => nodeId === record.nodeId) as TestHost;
  const { status } = await where.runtime.getStatus({ containerId: record.id });
  return (await execute('nsenter', [`--net=/proc/${status?.pid}/ns/net`, ...command])).stdout;
}

const pings = (from: containerV1.ContainerRecord, address: string): Promise<boolean> =>
  inside(from, 'busybox', 'ping', '-c', '1', '-W', '1', address).then(
    () => true,
    () => false,
  );
const reached = (from: containerV1.ContainerRecord, address: string) =>
  expect.poll(() => pings(from, address), { timeout: 10_000 }).toBe(true);

function inHost(where: TestHost, ...command: string[]): string {
  return execFileSync('nsenter', [`--net=/run/netns/${where.name}`, ...command], { encoding: 'utf8' });
}

const neighbourPings = (address: string): string => underlay.run('busybox', 'ping', '-c', '1', '-W', '1', address);
const pingsFromNeighbour = (address: string): boolean => {
  try {
    return neighbourPings(address) !== '';
  } catch {
    return false;
  }
};
const v4 = (record: containerV1.ContainerRecord, index = 0): string => record.endpoints[index]?.ipv4Address ?? '';
const v6 = (record: containerV1.ContainerRecord, index = 0): string => record.endpoints[index]?.ipv6Address ?? '';

describe('a macvlan network on the segment of two hosts', { timeout: 120_000 }, () => {
  test('joins containers of both hosts and a neighbour, by IPv4 and IPv6, with nothing of it on the hosts', async () => {
    const net = createLan();
    const [a, b, c] = [
      await started(host(0), 'a', [net]),
      await started(host(1), 'b', [net]),
      await started(host(0), 'c', [net]),
    ];
    for (const [from, to] of [
      [a, b],
      [b, a],
      [a, c],
    ] as const) {
      await reached(from, v4(to));
      await reached(from, v6(to));
    }
    for (const one of [a, b, c]) {
      await reached(one, NEIGHBOUR);
      await reached(one, NEIGHBOUR6);
      expect(neighbourPings(v4(one))).toContain('1 packets received');
      expect(neighbourPings(v6(one))).toContain('1 packets received');
    }
    expect(underlay.run('ip', 'neigh', 'show', v4(b))).toContain(b.endpoints[0]?.macAddress);
    expect(await inside(a, 'ip', 'route')).toContain(`default via ${NEIGHBOUR} dev eth0`);
    expect(await inside(a, 'ip', '-6', 'route')).toContain(`default via ${NEIGHBOUR6} dev eth0`);
    // The kernel lets no packet pass between an interface and the macvlan links on it.
    expect(await pings(a, host(0).overlayIp)).toBe(false);
    await reached(a, host(1).overlayIp);
    for (const where of [host(0), host(1)]) {
      expect(inHost(where, 'ip', '-o', 'link')).not.toMatch(/at[nvx][0-9a-f]{8}|macvlan/);
      expect(inHost(where, 'nft', 'list', 'tables')).not.toContain('networks');
    }
    await removed(a, b, c);
    networks.remove(net);
  });

  test('names of its members are found, those of the outside only unless it is internal', async () => {
    const [net, inner] = [createLan(), createLan({ internal: true })];
    const [a, b] = [await started(host(0), 'a', [net]), await started(host(1), 'bob', [net])];
    const lookUp = (from: containerV1.ContainerRecord, name: string): Promise<string> =>
      inside(from, 'busybox', 'nslookup', name, '127.0.0.11').catch((error: { stdout?: string }) => error.stdout ?? '');
    expect(await lookUp(a, 'bob.')).toContain(v4(b));
    expect(await lookUp(a, `bob.${net.name}.`)).toContain(v4(b));
    const [c, d] = [await started(host(0), 'c', [inner]), await started(host(1), 'd', [inner])];
    await reached(c, v4(d));
    expect(await lookUp(c, 'd.')).toContain(v4(d));
    expect(await lookUp(c, 'bob.')).not.toContain(v4(b));
    expect(await inside(c, 'ip', 'route')).not.toContain('default');
    await removed(a, b, c, d);
    networks.remove(net);
    networks.remove(inner);
  });

  test('takes no addresses and routes of router advertisements there', async () => {
    const net = createLan();
    const [a, control] = [await started(host(0), 'a', [net]), await started(host(0), 'control', [net])];
    const frame = routerAdvertisement('02:00:00:00:00:01').toString('hex');
    const advertise = (): string => underlay.run(buildProbe(), 'frame', 'switch', frame);
    await inside(control, 'sh', '-c', 'echo 2 >/proc/sys/net/ipv6/conf/eth0/accept_ra');
    const settings = async (record: containerV1.ContainerRecord): Promise<string> =>
      (await inside(record, 'ip', '-6', 'addr')) + (await inside(record, 'ip', '-6', 'route'));
    await expect
      .poll(async () => {
        expect(advertise()).toBe('ok\n');
        return await settings(control);
      })
      .toMatch(/2001:db8:bad[\s\S]*via fe80::1/);
    expect(await settings(a)).not.toMatch(/2001:db8:bad|fe80::1 /);
    await removed(a, control);
    networks.remove(net);
  });

  test('an address goes along to another host, and with it who is known under it', async () => {
    const net = createLan();
    const a = await started(host(0), 'a', [net]);
    expect(neighbourPings(v4(a))).toContain('1 packets received');
    await host(0).remove(a);
    const moved = networks.move(a, host(1));
    // Another link under the same address: nobody asks anew for what is remembered.
    const endpoints = moved.endpoints.map((one) => ({ ...one, macAddress: '02:42:00:00:00:99' }));
    const there = { ...moved, endpoints };
    await host(1).ensure(there);
    await host(1).start(there);
    await expect.poll(() => underlay.run('ip', 'neigh', 'show', v4(a))).toContain('02:42:00:00:00:99');
    expect(neighbourPings(v4(a))).toContain('1 packets received');
    expect(neighbourPings(v6(a))).toContain('1 packets received');
    await removed(there);
    networks.remove(net);
  });

  test('restarts of its containers, and of agents, keep their places', async () => {
    const net = createLan();
    const a = await started(host(0), 'a', [net]);
    await reached(a, NEIGHBOUR);
    await host(0).killAgent();
    expect(neighbourPings(v4(a))).toContain('1 packets received');
    await host(0).startAgent();
    await reconnect(host(0), a);
    expect(neighbourPings(v4(a))).toContain('1 packets received');
    await host(0).scheduler.order({ action: nodeV1.Action.RESTART, record: a, timeoutSeconds: 0n });
    await reached(a, NEIGHBOUR);
    expect(neighbourPings(v4(a))).toContain('1 packets received');
    await removed(a);
    networks.remove(net);
  });
});

describe('a supervisor that is killed', { timeout: 120_000 }, () => {
  test('takes the container along, whose next run has its addresses again', async () => {
    const net = createLan();
    const restartPolicy = { name: 'always', maximumRetryCount: 0 };
    const a = await started(host(0), 'a', [net], { restartPolicy });
    await reached(a, NEIGHBOUR);
    const { status } = await host(0).runtime.getStatus({ containerId: a.id });
    const noted = readFileSync(join(host(0).dataRoot, 'containers', a.id, 'shim.pid'), 'utf8');
    process.kill(Number(noted.split(' ')[0]), 'SIGKILL');
    const isNew = ({ id, state, pid }: containerV1.ContainerStatus): boolean =>
      id === a.id && state === containerV1.ContainerState.RUNNING && pid !== status?.pid;
    await host(0).scheduler.status(isNew);
    await expect.poll(() => pingsFromNeighbour(v4(a)), { timeout: 10_000 }).toBe(true);
    await removed(a);
    networks.remove(net);
  });
});

describe('a running container', { timeout: 120_000 }, () => {
  test('joins and leaves it beside a network that spans hosts, which keeps its own rules', async () => {
    const [net, own] = [createLan(), networks.create()];
    const other = await started(host(1), 'other', [own]);
    const first = await started(host(0), 'a', [own]);
    await reached(first, v4(other));
    const both = networks.connect(first, net, { gwPriority: 5 });
    await reconnect(host(0), both);
    await reached(both, NEIGHBOUR);
    await reached(both, v4(other));
    expect(await inside(both, 'ip', 'route')).toContain(`default via ${NEIGHBOUR} dev eth1`);
    const table = /bridge (\S+_networks)/.exec(inHost(host(0), 'nft', 'list', 'tables'))?.[1] ?? '';
    const rules = inHost(host(0), 'nft', 'list', 'table', 'bridge', table);
    expect(rules).toContain(v4(first));
    expect(rules).not.toContain('10.233.0.');
    const back = networks.disconnect(both, net);
    await reconnect(host(0), back);
    expect(await inside(back, 'ip', 'link')).not.toContain('eth1');
    expect(await inside(back, 'ip', 'route')).toContain(`default via ${own.subnets[0]?.gateway} dev eth0`);
    await reached(back, v4(other));
    await removed(back, other);
    networks.remove(net);
    networks.remove(own);
  });

  test('publishes no port by it, and is reached at its own', async () => {
    const net = createLan();
    const ports = [{ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 18_091 }];
    const server = ['nc', '-ll', '-p', '80', '-e', 'echo', 'hello'];
    const record = await started(host(0), 'web', [net], { network: { mode: net.name, ports } }, server);
    const ask = (address: string, port: string): string => underlay.run('busybox', 'nc', '-w', '2', address, port);
    await expect.poll(() => ask(v4(record), '80'), { timeout: 10_000 }).toBe('hello\n');
    expect(() => ask(host(0).overlayIp, '18091')).toThrow();
    await removed(record);
    networks.remove(net);
  });
});

describe('a container that cannot have its place', { timeout: 120_000 }, () => {
  test.each<[string, Record<string, string>, string]>([
    ['on an interface that is not there', { parent: 'eth77' }, 'this host has no interface eth77'],
    [
      'on the interface the host is reached by, all of it',
      { parent: 'under', macvlan_mode: 'passthru' },
      'would take interface under from this host',
    ],
  ])('%s does not start', async (_name, options, words) => {
    const net = createLan({ options });
    let record = host(1).record(['true'], { network: { mode: net.name } });
    record = networks.connect(record, net);
    await host(1).ensure(record);
    const result = await host(1).scheduler.tryOrder({ action: nodeV1.Action.START, record });
    expect(result).toMatchObject({ code: 9, message: expect.stringContaining(words) });
    expect(result.status?.state).toBe(containerV1.ContainerState.CREATED);
    await removed(record);
    networks.remove(net);
  });
});

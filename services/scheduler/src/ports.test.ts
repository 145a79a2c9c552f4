import { conflict } from '@atoll/errors';
import { containerV1, nodeV1 } from '@atoll/proto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  createContainer,
  createNetwork,
  type SpecInput,
  startTestCluster,
  type TestCluster,
  until,
} from './testing/index.ts';

type PortInput = Partial<containerV1.PortBinding>;
type Record_ = containerV1.ContainerRecord;

let cluster: TestCluster;
let made: string[] = [];
/** Of the last order about a container. */
const ordered = new Map<string, Record_>();
/** Programs of a host that have ports. */
const busy = new Set<number>();
let refusals = 0;
const onOrder = ({ record, action }: nodeV1.Order): void => {
  if (record) ordered.set(record.id, record);
  const taken = record?.ports.find(({ hostPort }) => busy.has(hostPort));
  if (!taken || action !== nodeV1.Action.START) return;
  refusals++;
  throw conflict(`failed to bind host port 0.0.0.0:${taken.hostPort}/tcp: address already in use`);
};
beforeAll(async () => {
  cluster = await startTestCluster();
  for (const at of [1, 2, 3]) {
    await cluster.addAgent(`h${at}`, { facts: { hostIp: `192.0.2.${at}`, hostIpv6: `2001:db8::${at}` }, onOrder });
  }
});
afterEach(async () => {
  for (const id of made) await api().removeContainer({ id, force: true, volumes: false });
  made = [];
  busy.clear();
  refusals = 0;
});
afterAll(() => cluster.stop());

const api = () => cluster.leader.containers;
const agent = (id: string) => {
  const found = cluster.agents.find((one) => one.id === id);
  if (!found) throw new Error(`no agent ${id}`);
  return found;
};
const port = (hostPort: number, more: PortInput = {}): containerV1.PortBinding =>
  containerV1.PortBinding.fromPartial({ containerPort: 80, protocol: 'tcp', hostPort, ...more });
const on = (host: string) => ({ constraints: [`node.hostname==${host}`] });

async function create(ports: readonly containerV1.PortBinding[], spec: SpecInput = {}): Promise<Record_> {
  const record = await createContainer(cluster.leader, { ...spec, network: { ports: [...ports], ...spec?.network } });
  made.push(record.id);
  return record;
}
async function start({ id }: Record_): Promise<Record_> {
  const { record } = await api().startContainer({ id });
  if (!record) throw new Error('the answer has no record');
  return record;
}
const run = async (ports: readonly containerV1.PortBinding[], spec: SpecInput = {}): Promise<Record_> =>
  start(await create(ports, spec));
const targets = (key: string) => ['h1', 'h2', 'h3'].map((host) => agent(host).ports.target(key));
const hostPorts = (record: Record_ | undefined) => record?.ports.map(({ hostPort }) => hostPort);

describe('who has a port', () => {
  const bind = (ip: string, at = 8080) => `Bind for ${ip}:${at} failed: port is already allocated`;
  test.each<[string, PortInput, PortInput, string, string, string | undefined]>([
    ['one port on two hosts', {}, {}, 'h1', 'h2', bind('0.0.0.0')],
    ['tcp and udp', {}, { protocol: 'udp' }, 'h1', 'h1', undefined],
    ['all hosts and one host', {}, { hostOnly: true }, 'h1', 'h2', bind('0.0.0.0')],
    ['one host and another', { hostOnly: true }, { hostOnly: true }, 'h1', 'h2', undefined],
    ['one host twice', { hostOnly: true }, { hostOnly: true }, 'h1', 'h1', bind('0.0.0.0')],
    ['two addresses of one host', { hostIp: '192.0.2.1' }, { hostIp: '198.51.100.1' }, 'h1', 'h1', undefined],
    ['one address twice', { hostIp: '192.0.2.1' }, { hostIp: '192.0.2.1' }, 'h1', 'h1', bind('192.0.2.1')],
    ['an address and all', {}, { hostIp: '192.0.2.2' }, 'h1', 'h2', bind('192.0.2.2')],
    ['IPv6', { hostIp: '2001:db8::1' }, { hostIp: '::' }, 'h1', 'h2', bind('[::]')],
  ])('%s', async (_name, first, second, firstHost, secondHost, message) => {
    await run([port(8080, first)], on(firstHost));
    const other = await create([port(8080, second)], on(secondHost));
    const started = start(other);
    if (message === undefined) await started;
    else await expect(started).rejects.toMatchObject({ reason: 'conflict', message });
  });

  test('a port the scheduler picked and a program of the host has: another one', async () => {
    const record = await create([port(0), port(8081, { containerPort: 81 })]);
    const [picked = 0] = hostPorts(record) ?? [];
    busy.add(picked);
    const started = await start(record);
    expect(refusals).toBe(1);
    expect(hostPorts(started)?.[0]).not.toBe(picked);
    expect(hostPorts(started)?.[1]).toBe(8081);
    expect(started.desired).toBe(containerV1.DesiredState.RUNNING);
  });

  test.each<[string, PortInput, number]>([
    ['one asked for by number', { hostPort: 8081 }, 1],
    ['a range', { hostPort: 8081, hostPortEnd: 8082 }, 1],
    ['one of its own choice, ten times', { hostPort: 0 }, 10],
  ])('%s: refused with the words of the host, and nothing starts later', async (_name, asked, tries) => {
    const record = await create([port(8081, asked)]);
    const [first = 0] = hostPorts(record) ?? [];
    for (let hostPort = first; hostPort < first + 20; hostPort++) busy.add(hostPort);
    await expect(start(record)).rejects.toMatchObject({
      reason: 'conflict',
      message: expect.stringMatching(/failed to bind host port 0\.0\.0\.0:\d+\/tcp: address already in use/),
    });
    expect(refusals).toBe(tries);
    busy.clear();
    const { record: stopped } = await api().stopContainer({ id: record.id, timeoutSeconds: 0n, signal: '' });
    expect(stopped?.desired).toBe(containerV1.DesiredState.CREATED);
  });

  test('a refused start leaves nothing, and goes through once the port is free', async () => {
    const first = await run([port(8080)], on('h1'));
    const second = await create([port(8080), port(8081, { containerPort: 81 })], on('h2'));
    await expect(start(second)).rejects.toMatchObject({ reason: 'conflict' });
    const third = await run([port(8081)], on('h3'));
    expect(agent('h2').containers.get(second.id)?.state).not.toBe(containerV1.ContainerState.RUNNING);
    for (const { id, nodeId } of [first, third]) agent(nodeId).exit(id, 0);
    await until(async () => start(second).then(() => true, () => false)); // biome-ignore format: short
    await until(() => targets('8081/tcp').join() === '192.0.2.2,,192.0.2.2');
  });

  test('of many that start at the same time one has the port', async () => {
    const records = await Promise.all(Array.from({ length: 6 }, () => create([port(8080)])));
    const results = await Promise.allSettled(records.map(start));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('one container may not have it for two of its ports', async () => {
    const record = await create([port(8080), port(8080, { containerPort: 81 })]);
    await expect(start(record)).rejects.toMatchObject({ message: bind('0.0.0.0') });
  });

  test('a --rm container that has no port is removed', async () => {
    await run([port(8080)]);
    const record = await createContainer(cluster.leader, { autoRemove: true, network: { ports: [port(8080)] } });
    await expect(start(record)).rejects.toMatchObject({ reason: 'conflict' });
    await until(async () => start(record).then(() => false, (error: { reason: string }) => error.reason === 'not-found')); // biome-ignore format: short
  });

  test('of a range the first free port is taken, and another one at the next start', async () => {
    const range = port(9000, { hostPortEnd: 9001 });
    const first = await run([range], on('h1'));
    const second = await run([range], on('h2'));
    expect([first, second].flatMap(hostPorts)).toEqual([9000, 9001]);
    const third = await create([range], on('h3'));
    await expect(start(third)).rejects.toMatchObject({
      message: 'Bind for 0.0.0.0:9000-9001 failed: all ports are allocated',
    });
    agent('h2').exit(second.id, 0);
    await until(async () => start(third).then(() => true, () => false)); // biome-ignore format: short
    await expect(start(second)).rejects.toMatchObject({ reason: 'conflict' });
    agent('h1').exit(first.id, 0);
    await until(async () => start(second).then((record) => hostPorts(record)?.[0] === 9000, () => false)); // biome-ignore format: short
  });

  test('a picked port that was taken while the container rested becomes another one', async () => {
    const picked = await create([port(0)]);
    const [old = 0] = hostPorts(picked) ?? [];
    await run([port(old)]);
    const [now] = hostPorts(await start(picked)) ?? [];
    expect(now).not.toBe(old);
  });

  test('a port on an address of a host goes there', async () => {
    const records = await Promise.all([1, 2, 3, 2].map((at) => create([port(7000 + at, { hostIp: `192.0.2.${at}` })])));
    expect(records.map(({ nodeId }) => nodeId)).toEqual(['h1', 'h2', 'h3', 'h2']);
    await expect(create([port(7000, { hostIp: '192.0.2.1' })], on('h2'))).rejects.toMatchObject({
      reason: 'failed-precondition',
      message: expect.stringContaining("a published port's address 192.0.2.1"),
    });
  });
});

describe('what hosts are told', () => {
  test('the port of a container that runs on another host, while it runs', async () => {
    const record = await create(
      [port(8080), port(8081, { hostOnly: true }), port(8082, { hostIp: '192.0.2.1' })],
      on('h1'),
    );
    expect(targets('8080/tcp')).toEqual([undefined, undefined, undefined]);
    await start(record);
    await until(() => targets('8080/tcp').join() === ',192.0.2.1,192.0.2.1');
    for (const key of ['8081/tcp', '8082/tcp']) expect(targets(key)).toEqual([undefined, undefined, undefined]);
    agent('h1').exit(record.id, 0);
    await until(() => targets('8080/tcp').join() === ',,');
  });

  test('one message for each change, whatever is published elsewhere', async () => {
    const others = await Promise.all(Array.from({ length: 10 }, () => run([port(0)], on('h1'))));
    const journal = agent('h2').ports.journal;
    await until(() => others.every((one) => targets(`${one.ports[0]?.hostPort}/tcp`)[1] !== undefined));
    const before = journal.length;
    const record = await run([port(8080), port(8081, { containerPort: 81 })], on('h1'));
    await until(() => journal.length > before);
    await api().removeContainer({ id: record.id, force: true, volumes: false });
    made = made.filter((id) => id !== record.id);
    await until(() => journal.length > before + 1);
    expect(journal.slice(before)).toEqual(['change 2 0', 'change 0 2']);
  });

  test('IPv6 addresses of hosts only for containers that have one', async () => {
    const network = await createNetwork(cluster.leader, { ipv6: true });
    const record = await run([port(8080)], {
      ...on('h1'),
      network: { mode: network.name, endpoints: [{ network: network.name }] },
    });
    await until(() => targets('8080/tcp')[1] === '192.0.2.1 2001:db8::1');
    await api().removeContainer({ id: record.id, force: true, volumes: false });
    made = [];
    await cluster.leader.networks.removeNetwork({ id: network.id });
  });

  test('a container that moves takes its port with it; a host that comes back hears all', async () => {
    const moving = await run([port(8080)], { restartPolicy: { name: 'always' } });
    const from = moving.nodeId;
    await cluster.leader.nodes.updateNode({ id: from, availability: nodeV1.NodeAvailability.DRAIN });
    const third = () => cluster.agents.find(({ id, ports }) => id !== from && ports.target('8080/tcp') !== undefined);
    await until(() => {
      const away = agent(from).ports.target('8080/tcp');
      return away !== undefined && third()?.ports.target('8080/tcp') === away;
    });
    const watcher = agent(third()?.id ?? '');
    await watcher.stop();
    await cluster.leader.nodes.updateNode({ id: from, availability: nodeV1.NodeAvailability.ACTIVE });
    await api().removeContainer({ id: moving.id, force: true, volumes: false });
    made = [];
    watcher.start();
    await until(() => watcher.ports.target('8080/tcp') === undefined);
    expect(watcher.ports.journal.at(-1)).toBe('all 0');
  });

  test('the port of a lost host goes, and another container may have it', async () => {
    const host = await cluster.addAgent('h9', { facts: { hostIp: '192.0.2.9' } });
    await run([port(8080)], on('h9'));
    await until(() => targets('8080/tcp').join() === '192.0.2.9,192.0.2.9,192.0.2.9');
    await host.stop();
    await until(() => targets('8080/tcp').join() === ',,');
    await run([port(8080)], on('h1'));
    await until(() => targets('8080/tcp').join() === ',192.0.2.1,192.0.2.1');
    await cluster.leader.nodes.removeNode({ id: 'h9', force: true });
    made.shift();
    await host.close();
  });
});

describe('ports of containers that exist', () => {
  test('published on one that runs, kept over a restart, and withdrawn', async () => {
    const record = await run([port(8080)], on('h1'));
    const { record: more, ports } = await api().publishPorts({
      id: record.id,
      ports: [port(9090, { containerPort: 90 }), port(0)],
    });
    expect(ports[0]).toMatchObject({ hostPort: 9090, containerPort: 90 });
    expect(ports[1]?.hostPort).toBeGreaterThanOrEqual(32_768);
    expect(more?.spec?.network?.ports.map(({ hostPort }) => hostPort)).toEqual([8080, 9090, 0]);
    await until(() => targets('9090/tcp').join() === ',192.0.2.1,192.0.2.1');
    expect(hostPorts(ordered.get(record.id))).toEqual(hostPorts(more));
    await api().restartContainer({ id: record.id, signal: '', timeoutSeconds: 0n });
    await until(() => targets('9090/tcp').join() === ',192.0.2.1,192.0.2.1');
    const { record: fewer } = await api().withdrawPorts({ id: record.id, ports: [port(0, { containerPort: 90 })] });
    expect(fewer?.spec?.network?.ports.map(({ hostPort }) => hostPort)).toEqual([8080, 0]);
    await until(() => targets('9090/tcp').join() === ',,');
    expect(targets('8080/tcp')[1]).toBe('192.0.2.1');
  });

  test('what is published already is answered, not published twice', async () => {
    const record = await run([port(8080)]);
    const again = await api().publishPorts({ id: record.id, ports: [port(8080)] });
    expect(hostPorts(again.record)).toEqual([8080]);
    expect(again.ports).toMatchObject([{ hostPort: 8080 }]);
  });

  test('of one that rests: in effect with its next start', async () => {
    const record = await create([], on('h2'));
    await api().publishPorts({ id: record.id, ports: [port(8080)] });
    expect(targets('8080/tcp')).toEqual([undefined, undefined, undefined]);
    await start(record);
    await until(() => targets('8080/tcp').join() === '192.0.2.2,,192.0.2.2');
  });

  test('what the host refuses is taken back', async () => {
    const host = await cluster.addAgent('h8', {
      facts: { hostIp: '192.0.2.8' },
      onOrder: (order) => {
        onOrder(order);
        const added = order.record?.ports.some(({ hostPort }) => hostPort === 9090);
        if (order.action === nodeV1.Action.CONNECT && added) throw conflict('a program listens there');
      },
    });
    const record = await run([port(8080)], on('h8'));
    await expect(api().publishPorts({ id: record.id, ports: [port(9090)] })).rejects.toThrow('a program listens there');
    await until(async () => hostPorts(await start(record))?.join() === '8080');
    expect(targets('9090/tcp')).toEqual([undefined, undefined, undefined]);
    await api().removeContainer({ id: record.id, force: true, volumes: false });
    made = [];
    await host.close();
    await cluster.leader.nodes.removeNode({ id: 'h8', force: true });
  });

  test.each<[string, PortInput, string, RegExp]>([
    ['no container port', { containerPort: 0 }, 'invalid-argument', /invalid containerPort: 0/],
    ['a wrong protocol', { protocol: 'icmp' }, 'invalid-argument', /invalid proto: icmp/],
    ['a host port too high', { hostPort: 70_000 }, 'invalid-argument', /invalid hostPort: 70000/],
    [
      'a range that ends before it begins',
      { hostPort: 90, hostPortEnd: 80 },
      'invalid-argument',
      /invalid hostPort: 90-80/,
    ],
    [
      'an address of another host',
      { hostIp: '192.0.2.2' },
      'failed-precondition',
      /is on host h1, which has not the address/,
    ],
    [
      'a port of another container',
      { hostPort: 8081 },
      'conflict',
      /Bind for 0.0.0.0:8081 failed: port is already allocated/,
    ],
  ])('%s is refused, and nothing changes', async (_name, wrong, reason, message) => {
    await run([port(8081)], on('h2'));
    const record = await run([port(8080)], on('h1'));
    const refused = api().publishPorts({ id: record.id, ports: [port(7777), port(9090, wrong)] });
    await expect(refused).rejects.toMatchObject({ reason, message: expect.stringMatching(message) });
    expect(targets('7777/tcp')).toEqual([undefined, undefined, undefined]);
    expect(hostPorts(ordered.get(record.id))).toEqual([8080]);
  });

  test('one without a network of its own, one that is unknown, a port that is not published', async () => {
    const host = await create([], { network: { mode: 'host' } });
    await expect(api().publishPorts({ id: host.id, ports: [port(80)] })).rejects.toMatchObject({
      reason: 'invalid-argument',
    });
    await expect(api().publishPorts({ id: 'a'.repeat(64), ports: [port(80)] })).rejects.toMatchObject({
      reason: 'not-found',
    });
    const record = await create([port(8080)]);
    await expect(api().withdrawPorts({ id: record.id, ports: [port(8081)] })).rejects.toMatchObject({
      reason: 'not-found',
      message: `container ${record.spec?.name} does not publish 8081:80/tcp`,
    });
    await expect(api().publishPorts({ id: record.id, ports: [] })).rejects.toMatchObject({
      reason: 'invalid-argument',
    });
  });
});

import { type Bus, connectBus, NatsEventBus } from '@atoll/bus';
import { networkIdOf } from '@atoll/docker-api';
import { eventV1 } from '@atoll/proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createContainer, createNetwork, startTestCluster, type TestCluster } from './testing/index.ts';

let cluster: TestCluster;
let bus: Bus;
let events: NatsEventBus;
beforeAll(async () => {
  cluster = await startTestCluster({ agents: 1 });
  bus = await connectBus({ servers: [cluster.nats.url], name: 'events' });
  events = new NatsEventBus(bus);
});
afterAll(async () => {
  await events.close();
  await bus.close();
  await cluster.stop();
});

/** All events of a container up to its end. */
async function lifeOf(id: string): Promise<eventV1.Event[]> {
  const found: eventV1.Event[] = [];
  for await (const event of events.subscribe({ sinceNs: 0n, signal: AbortSignal.timeout(10_000) })) {
    if (event.actorId !== id) continue;
    found.push(event);
    if (event.action === 'destroy') break;
  }
  return found;
}

const spoken = (event: eventV1.Event): string =>
  [event.action, event.attributes['exitCode'], event.attributes['signal']].filter(Boolean).join(' ');

test("a container's life, with the words, order and attributes of docker", async () => {
  const { containers } = cluster.leader;
  const record = await createContainer(cluster.leader, { labels: { tier: 'web', name: 'spoofed' } });
  const { id } = record;
  await containers.startContainer({ id });
  await containers.pauseContainer({ id });
  await containers.unpauseContainer({ id });
  await containers.restartContainer({ id, signal: '' });
  await containers.stopContainer({ id, signal: '' });
  await containers.startContainer({ id });
  await containers.removeContainer({ id, force: true, volumes: false });
  const life = await lifeOf(id);
  expect(life.map(spoken)).toEqual([
    'create',
    'start',
    'pause',
    'unpause',
    ...['kill 15', 'die 143', 'stop', 'start', 'restart'],
    ...['kill 15', 'die 143', 'stop'],
    'start',
    ...['kill 9', 'die 137', 'destroy'],
  ]);
  for (const event of life) {
    expect(event).toMatchObject({
      type: 'container',
      nodeId: record.nodeId,
      attributes: { image: 'busybox', name: record.spec?.name, tier: 'web', 'atoll.node': 'h1' },
    });
  }
  const times = life.map((event) => event.timeNs);
  expect(times).toEqual([...times].sort((a, b) => (a < b ? -1 : 1)));
});

test.each([
  ['the bridge by default', {}, 'bridge', 'bridge'],
  ['none', { mode: 'none' }, 'none', 'null'],
  ["the host's", { mode: 'host' }, 'host', 'host'],
])(
  'a container joins its network before it starts and leaves it when it dies: %s',
  async (_name, network, name, type) => {
    const { containers } = cluster.leader;
    const { id, nodeId } = await createContainer(cluster.leader, { network });
    await containers.startContainer({ id });
    await containers.stopContainer({ id, signal: '' });
    await containers.removeContainer({ id, force: false, volumes: false });
    const seen: eventV1.Event[] = [];
    for await (const event of events.subscribe({ sinceNs: 0n, signal: AbortSignal.timeout(10_000) })) {
      if (event.actorId === id || event.attributes['container'] === id) seen.push(event);
      if (event.actorId === id && event.action === 'destroy') break;
    }
    expect(seen.map(({ action }) => action)).toEqual([
      ...['create', 'connect', 'start', 'kill', 'die', 'disconnect', 'stop', 'destroy'],
    ]);
    const joined = seen.filter((event) => event.type === 'network');
    expect(new Set(joined.map((event) => event.actorId))).toEqual(new Set([networkIdOf(name)]));
    for (const event of joined) expect(event).toMatchObject({ nodeId, attributes: { container: id, name, type } });
  },
);

test("a container in another's network joins none of its own", async () => {
  const { containers } = cluster.leader;
  const { id } = await createContainer(cluster.leader, { network: { mode: `container:${'f'.repeat(64)}` } });
  await containers.startContainer({ id });
  await containers.removeContainer({ id, force: true, volumes: false });
  const seen: string[] = [];
  for await (const event of events.subscribe({ sinceNs: 0n, signal: AbortSignal.timeout(10_000) })) {
    if (event.actorId === id || event.attributes['container'] === id) seen.push(event.action);
    if (event.actorId === id && event.action === 'destroy') break;
  }
  expect(seen).toEqual(['create', 'start', 'kill', 'die', 'destroy']);
});

test("an agent tells what only it sees, of its own containers, and nothing that is the leader's to tell", async () => {
  const { id } = await createContainer(cluster.leader);
  const tell = (action: string, actorId: string): void =>
    cluster.agents[0]?.tell(
      eventV1.Event.fromPartial({ type: 'container', action, actorId, attributes: { execID: 'e1' } }),
    );
  tell('exec_create: sh', id);
  tell('destroy', id);
  tell('exec_create: sh', 'f00');
  await cluster.leader.containers.startContainer({ id });
  await cluster.leader.containers.removeContainer({ id, force: true, volumes: false });
  const life = await lifeOf(id);
  expect(life.map((event) => event.action)).toEqual(['create', 'exec_create: sh', 'start', 'kill', 'die', 'destroy']);
  expect(life[1]?.attributes).toMatchObject({ execID: 'e1', image: 'busybox' });
});

test('networks of users: create, connect and disconnect with each run and while it runs, destroy', async () => {
  const { containers, networks } = cluster.leader;
  const one = await createNetwork(cluster.leader, { driver: 'overlay' });
  const two = await createNetwork(cluster.leader);
  const { id, nodeId } = await createContainer(cluster.leader, {
    network: { mode: one.name, endpoints: [{ network: one.name }] },
  });
  await networks.connectContainer({ networkId: two.id, containerId: id, endpoint: undefined, endpointId: '' });
  await containers.startContainer({ id });
  await networks.disconnectContainer({ networkId: one.id, containerId: id, force: false });
  await networks.connectContainer({ networkId: one.id, containerId: id, endpoint: undefined, endpointId: '' });
  await containers.removeContainer({ id, force: true, volumes: false });
  for (const network of [one, two]) await networks.removeNetwork({ id: network.id });
  const seen: eventV1.Event[] = [];
  for await (const event of events.subscribe({ sinceNs: 0n, signal: AbortSignal.timeout(10_000) })) {
    if (event.actorId === one.id || event.actorId === two.id) seen.push(event);
    if (event.actorId === two.id && event.action === 'destroy') break;
  }
  const word = ({ actorId, action }: eventV1.Event): string => `${actorId === one.id ? 'one' : 'two'} ${action}`;
  expect(seen.map(word)).toEqual([
    ...['one create', 'two create', 'one connect', 'two connect', 'one disconnect', 'one connect'],
    ...['two disconnect', 'one disconnect', 'one destroy', 'two destroy'],
  ]);
  expect(seen[0]).toMatchObject({ type: 'network', attributes: { name: one.name, type: 'overlay' } });
  expect(seen[2]).toMatchObject({ nodeId, attributes: { container: id, name: one.name, type: 'overlay' } });
});

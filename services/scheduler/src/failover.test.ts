import { setTimeout as sleep } from 'node:timers/promises';
import {
  CONTAINERS,
  connectBus,
  type DesiredWriter,
  Feed,
  LeaderElection,
  NatsDesiredStore,
  NatsObservedStore,
} from '@atoll/bus';
import { hasReason } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import { startNats } from '@atoll/testing';
import { afterEach, expect, test } from 'vitest';
import { createContainer, newContainerId, startTestCluster, type TestCluster, until } from './testing/index.ts';

const { ContainerState } = containerV1;

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
});

test('a standby names the leader, takes over when it stops, and knows everything', async () => {
  cluster = await startTestCluster({ agents: 0 });
  const first = cluster.leader;
  const second = await cluster.addReplica('s2');
  for (const id of ['h1', 'h2']) await cluster.addAgent(id);
  await until(async () => {
    const error: unknown = await second.nodes.listNodes({}).catch((cause: unknown) => cause);
    return (
      hasReason(error, 'unavailable') &&
      (error as { details: Record<string, string> }).details['leader'] === first.address
    );
  });
  const record = await createContainer(first, { name: 'survivor' });
  await first.containers.startContainer({ id: record.id });
  const epoch = cluster.agents[0]?.epoch ?? 0n;
  await first.stop();
  await until(() => second.scheduler.serving);
  expect(cluster.leader.id).toBe('s2');
  await expect(createContainer(second, { name: 'survivor' })).rejects.toMatchObject({ reason: 'already-exists' });
  expect((await createContainer(second)).nodeId).toMatch(/^h[12]$/);
  expect(await second.containers.startContainer({ id: record.id })).toMatchObject({
    unchanged: true,
    status: { state: ContainerState.RUNNING },
  });
  expect(cluster.agents[0]?.epoch).toBeGreaterThan(epoch);
});

test('a leader that does not know it was replaced can neither write nor give orders', async () => {
  cluster = await startTestCluster({ agents: 1 });
  const { leader, agents, nats } = cluster;
  const { id } = await createContainer(leader);
  // What a standby does when the leader was silent for too long, while this leader is as if it was paused.
  const bus = await connectBus({ servers: [nats.url], name: 'usurper' });
  const store = new NatsDesiredStore(bus);
  const signal = AbortSignal.timeout(20_000);
  const lease = await store.readLease(signal);
  const usurper = await store.acquire({ leaderId: 's9', address: '127.0.0.1:9' }, lease?.epoch, signal);
  expect(usurper.epoch).toBeGreaterThan(lease?.epoch ?? 0n);
  await expect(createContainer(leader, { name: 'never' })).rejects.toMatchObject({ reason: 'unavailable' });
  await until(
    async () =>
      !(await leader.containers.startContainer({ id }).then(
        () => true,
        (e) => !hasReason(e, 'unavailable'),
      )),
  );
  const names: string[] = [];
  const feed = new Feed(store.source(), { name: 'check', onRegress: 'keep' });
  const mirror = feed.mirror(CONTAINERS);
  feed.start();
  await feed.ready(signal);
  for (const record of mirror.values()) names.push(record.spec?.name ?? '');
  expect(names).not.toContain('never');
  await feed.close();
  await bus.close();
  expect(agents[0]?.containers.get(id)?.state).toBe(ContainerState.CREATED);
});

test('orders carry the epoch: an agent that obeyed a newer leader refuses them, and nothing stays wanted', async () => {
  cluster = await startTestCluster({ agents: 1 });
  const { leader, agents } = cluster;
  const { id } = await createContainer(leader);
  const epoch = agents[0]?.epoch ?? 0n;
  expect(epoch).toBeGreaterThan(0n);
  agents[0]?.obeyed(epoch + 100n);
  await expect(leader.containers.startContainer({ id })).rejects.toMatchObject({
    reason: 'failed-precondition',
    message: `epoch ${epoch} is over, this host obeys ${epoch + 100n}`,
  });
  expect(agents[0]?.containers.get(id)?.state).toBe(ContainerState.CREATED);
  const { record } = await leader.containers.stopContainer({ id, signal: '' });
  expect(record?.desired).toBe(containerV1.DesiredState.CREATED);
});

test('nats-server killed under writes: nothing that was answered is missing, and work goes on', async () => {
  cluster = await startTestCluster({ agents: 2 });
  const { leader, nats } = cluster;
  const answered = new Set<string>();
  let stopping = false;
  const writer = async (): Promise<void> => {
    while (!stopping) {
      const id = newContainerId();
      try {
        await createContainer(leader, {}, id);
        answered.add(id);
      } catch {
        await sleep(20);
      }
    }
  };
  const writers = Array.from({ length: 4 }, writer);
  for (let round = 0; round < 2; round++) {
    const before = answered.size;
    await until(() => answered.size > before + 20);
    await nats.kill();
    await sleep(300);
    await nats.restart();
  }
  const before = answered.size;
  await until(() => answered.size > before + 20);
  stopping = true;
  await Promise.all(writers);
  const bus = await connectBus({ servers: [nats.url], name: 'check' });
  const feed = new Feed(new NatsDesiredStore(bus).source(), { name: 'check', onRegress: 'keep' });
  const mirror = feed.mirror(CONTAINERS);
  await feed.start().ready(AbortSignal.timeout(20_000));
  expect([...answered].filter((id) => mirror.get(id) === undefined)).toEqual([]);
  expect(new Set([...mirror.values()].map((record) => record.spec?.name)).size).toBe(mirror.size);
  await feed.close();
  await bus.close();
}, 60_000);

test('a leader that was replaced steps down without having to write', async () => {
  cluster = await startTestCluster();
  const { leader, nats } = cluster;
  const bus = await connectBus({ servers: [nats.url], name: 'usurper' });
  const store = new NatsDesiredStore(bus);
  const signal = AbortSignal.timeout(20_000);
  const lease = await store.readLease(signal);
  await store.acquire({ leaderId: 's9', address: '127.0.0.1:9' }, lease?.epoch, signal);
  await until(async () => {
    const error: unknown = await leader.nodes.listNodes({}).catch((cause: unknown) => cause);
    return (
      hasReason(error, 'unavailable') &&
      (error as { details: Record<string, string> }).details['leader'] === '127.0.0.1:9'
    );
  });
  // The usurper never beats: the replica that watches it takes the lead back.
  await until(() => leader.scheduler.serving);
  expect((await store.readLease(signal))?.leaderId).toBe('s1');
  await bus.close();
});

test('of three candidates one leads at a time, and the next follows when it resigns', async () => {
  const nats = await startNats();
  const terms: string[] = [];
  let leading = 0;
  const stops: (() => Promise<void>)[] = [];
  const ends = new Map<string, AbortController>();
  for (const id of ['a', 'b', 'c']) {
    const bus = await connectBus({ servers: [nats.url], name: id });
    const desired = new NatsDesiredStore(bus);
    await desired.create();
    const observed = new NatsObservedStore(bus);
    const observedFeed = new Feed(observed.source(), { name: id, onRegress: 'rebuilt' });
    const self = { leaderId: id, address: id };
    const election = new LeaderElection({ desired, observed, observedFeed, self, takeoverMs: 600, beatMs: 100 });
    observedFeed.start();
    const end = new AbortController();
    ends.set(id, end);
    const term = async (writer: DesiredWriter, signal: AbortSignal): Promise<void> => {
      leading++;
      terms.push(id);
      expect(leading).toBe(1);
      await writer.put('container.x', new Uint8Array([1]));
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      leading--;
    };
    const running = election.run(term, end.signal);
    stops.push(async () => {
      end.abort();
      await running;
      await observedFeed.close();
      await bus.close();
    });
  }
  for (let round = 1; round <= 3; round++) {
    await until(() => terms.length === round);
    await sleep(300);
    expect(terms).toHaveLength(round);
    ends.get(terms[round - 1] ?? '')?.abort();
  }
  expect(new Set(terms)).toEqual(new Set(['a', 'b', 'c']));
  for (const stop of stops) await stop();
  await nats.stop();
});

import { setTimeout as sleep } from 'node:timers/promises';
import { containerV1, nodeV1 } from '@atoll/proto';
import { AsyncQueue, Channel } from '@atoll/rpc';
import { afterEach, describe, expect, test } from 'vitest';
import {
  createContainer,
  newContainerId,
  type SimulatedAgent,
  startTestCluster,
  type TestCluster,
  type TestClusterOptions,
  until,
} from './testing/index.ts';

const { ContainerState, DesiredState } = containerV1;
const { NodeAvailability, NodeReadiness } = nodeV1;
const ALWAYS = { restartPolicy: { name: 'always' } };

let cluster: TestCluster;
afterEach(() => cluster.stop());
const begin = async (options: TestClusterOptions): Promise<void> => {
  cluster = await startTestCluster({ nodeTimeoutMs: 1_200, ...options });
};
const agent = (id: string): SimulatedAgent => {
  const found = cluster.agents.find((one) => one.id === id);
  if (!found) throw new Error(`no agent ${id}`);
  return found;
};
const start = (id: string) => cluster.leader.containers.startContainer({ id });
const readiness = async (id: string): Promise<number | undefined> => {
  const { statuses } = await cluster.leader.nodes.listNodes({});
  return statuses.find((status) => status.id === id)?.readiness;
};
const away = async (...agents: SimulatedAgent[]): Promise<void> => {
  for (const one of agents) await one.stop();
  for (const one of agents) await until(async () => (await readiness(one.id)) === NodeReadiness.DOWN);
};
const runsOn = (id: string): string[] =>
  cluster.agents.filter((one) => one.containers.get(id)?.state === ContainerState.RUNNING).map((one) => one.id);

describe('registration', () => {
  test('gives each node an index and a block of addresses that stay its own', async () => {
    await begin({ agents: 2, cidr: '10.96.0.0/16' });
    const first = agent('h1').welcome;
    expect(first).toMatchObject({ node: { index: 1, containerSubnet: '10.96.1.0/24' }, clusterId: 'atoll-test' });
    expect(first?.gateways).toEqual(['127.0.0.1:7575']);
    expect(agent('h2').welcome?.node).toMatchObject({ index: 2, containerSubnet: '10.96.2.0/24' });
    await agent('h1').stop();
    await agent('h1').start().connected();
    expect(agent('h1').welcome?.node).toMatchObject({ index: 1, revision: first?.node?.revision });
  });

  test('a node may not speak for another one', async () => {
    await begin({ agents: 1 });
    const { id } = await createContainer(cluster.leader);
    agent('h1').report(
      containerV1.ContainerStatus.fromPartial({ id, nodeId: 'h2', state: ContainerState.EXITED, seq: 99n }),
    );
    await until(() => agent('h1').lastError?.reason === 'permission-denied');
    expect(agent('h1').lastError?.message).toBe('node h1 may not report for node h2');
  });

  test("a node's word on a container of another node changes nothing", async () => {
    await begin({ agents: 2 });
    const { id } = await createContainer(cluster.leader, { constraints: ['node.hostname==h1'] });
    await start(id);
    agent('h2').report(
      containerV1.ContainerStatus.fromPartial({ id, nodeId: 'h2', state: ContainerState.EXITED, seq: 99n }),
    );
    await sleep(100);
    expect(await start(id)).toMatchObject({ unchanged: true, status: { nodeId: 'h1', state: ContainerState.RUNNING } });
  });

  test.each([
    ['no hello first', { $case: 'heartbeat', value: { seq: 1n } } as const, 'invalid-argument'],
    ['another cluster', hello({ clusterId: 'other' }), 'failed-precondition'],
    ['a higher epoch than the leader has', hello({ epoch: 1_000_000n }), 'unavailable'],
    ['no memory', hello({ facts: { hostname: 'x', nanoCpus: 1n } }), 'invalid-argument'],
  ])('%s is refused', async (_name, message, reason) => {
    await begin({ agents: 0 });
    const channel = new Channel({
      address: cluster.leader.address,
      tls: await cluster.identity('node', 'h9'),
      serverRole: 'scheduler',
    });
    const outbox = new AsyncQueue<nodeV1.SessionRequest>(1);
    outbox.push({ message });
    const read = async (): Promise<void> => {
      for await (const _answer of channel.client(nodeV1.NodeServiceService).session(outbox)) outbox.end();
    };
    await expect(read()).rejects.toMatchObject({ reason });
    channel.close();
  });
});

function hello(change: Parameters<typeof nodeV1.Hello.fromPartial>[0]): NonNullable<nodeV1.SessionRequest['message']> {
  const facts = { hostname: 'x', memoryBytes: 1n, nanoCpus: 1n };
  return { $case: 'hello', value: nodeV1.Hello.fromPartial({ facts, ...change }) };
}

describe('a host that comes back', () => {
  test('is told what it missed, and keeps what nobody knows', async () => {
    await begin({ agents: 1, nodeTimeoutMs: 60_000 });
    const h1 = agent('h1');
    const [kept, wiped] = [await createContainer(cluster.leader, ALWAYS), await createContainer(cluster.leader)];
    await start(kept.id);
    await h1.stop();
    h1.containers.wipe();
    const unknown = newContainerId();
    h1.containers.plant(unknown, ContainerState.RUNNING);
    await h1.start().connected();
    await until(() => h1.containers.get(kept.id)?.state === ContainerState.RUNNING);
    await until(() => h1.containers.get(wiped.id)?.state === ContainerState.CREATED);
    expect(h1.containers.get(unknown)?.state).toBe(ContainerState.RUNNING);
    // Seen statuses follow: the host that lost everything counts from 1 again.
    expect(await start(kept.id)).toMatchObject({ unchanged: true });
  });

  test('removes what was removed by force while it was down; the name was free at once', async () => {
    await begin({ agents: 1 });
    const record = await createContainer(cluster.leader, { name: 'phoenix' });
    await start(record.id);
    await away(agent('h1'));
    const remove = (force: boolean) =>
      cluster.leader.containers.removeContainer({ id: record.id, force, volumes: false });
    await expect(remove(false)).rejects.toMatchObject({
      reason: 'conflict',
      message: expect.stringMatching(/host h1 is down: bring the host back/),
    });
    await expect(start(record.id)).rejects.toMatchObject({
      reason: 'failed-precondition',
      message: expect.stringMatching(/cannot be reached: host h1 is down/),
    });
    await remove(true);
    await expect(start(record.id)).rejects.toMatchObject({ reason: 'not-found' });
    await agent('h1').start().connected();
    await until(() => agent('h1').containers.get(record.id) === undefined);
    expect((await createContainer(cluster.leader, { name: 'phoenix' })).nodeId).toBe('h1');
  });
});

describe('a host that is lost', () => {
  test('its restarting containers come back elsewhere, others are lost and return with it; stale copies go', async () => {
    await begin({ agents: 3 });
    const on = { constraints: ['node.hostname!=h9'] };
    const records = await Promise.all(
      Array.from({ length: 6 }, (_, i) => createContainer(cluster.leader, i % 2 === 0 ? { ...ALWAYS, ...on } : on)),
    );
    for (const { id } of records) await start(id);
    const here = records.filter((record) => record.nodeId === 'h1');
    expect(here.length).toBe(2);
    const pinned = await createContainer(cluster.leader, { ...ALWAYS, constraints: ['node.hostname==h1'] });
    await start(pinned.id);
    agent('h1').freeze();
    for (const { id, spec } of here) {
      if (spec?.restartPolicy?.name === 'always') {
        await until(() => runsOn(id).some((host) => host !== 'h1'));
      } else {
        await until(async () => {
          const { record } = await cluster.leader.containers.stopContainer({ id, signal: '', timeoutSeconds: 1n });
          return record?.nodeId === 'h1' && (await readiness('h1')) === NodeReadiness.DOWN;
        });
      }
    }
    expect(await readiness('h1')).toBe(NodeReadiness.DOWN);
    agent('h1').freeze(false);
    await agent('h1').stop();
    await agent('h1').start().connected();
    for (const { id, spec } of here) {
      if (spec?.restartPolicy?.name === 'always') {
        await until(() => agent('h1').containers.get(id) === undefined);
        expect(runsOn(id)).toHaveLength(1);
      }
    }
    expect(runsOn(pinned.id)).toEqual(['h1']);
    expect(await start(pinned.id)).toMatchObject({ unchanged: true, record: { placements: 0 } });
  });

  test('what finds no other host waits for one', async () => {
    await begin({ agents: 1 });
    const { id } = await createContainer(cluster.leader, ALWAYS);
    await start(id);
    await away(agent('h1'));
    await cluster.addAgent('h2');
    await until(() => runsOn(id).includes('h2'));
    const { record } = await cluster.leader.containers.renameContainer({ id, name: 'moved' });
    expect(record).toMatchObject({ nodeId: 'h2', placements: 1, desired: DesiredState.RUNNING });
  });

  test('what had ended keeps its exit code and can be removed without force', async () => {
    await begin({ agents: 1 });
    const { id } = await createContainer(cluster.leader);
    await start(id);
    agent('h1').exit(id, 7);
    const stop = () => cluster.leader.containers.stopContainer({ id, signal: '' });
    await until(async () => (await stop()).status?.state === ContainerState.EXITED);
    await away(agent('h1'));
    expect((await stop()).status).toMatchObject({ state: ContainerState.EXITED, exitCode: 7 });
    await cluster.leader.containers.removeContainer({ id, force: false, volumes: false });
    await expect(start(id)).rejects.toMatchObject({ reason: 'not-found' });
  });

  test('a mount of the Docker socket does not tie a container to its host', async () => {
    await begin({ agents: 2 });
    const mounts = [{ type: 'bind', source: '/var/run/docker.sock', target: '/s', apiSocket: true }];
    const record = await createContainer(cluster.leader, { ...ALWAYS, mounts });
    await start(record.id);
    const other = record.nodeId === 'h1' ? 'h2' : 'h1';
    await away(agent(record.nodeId));
    await until(() => runsOn(record.id).includes(other));
  });

  test.each([
    ['volume data', { type: 'volume', source: 'data', target: '/data' }],
    ['the bind mount of /srv', { type: 'bind', source: '/srv', target: '/data' }],
  ])('files tie a container to its host: %s', async (what, mount) => {
    await begin({ agents: 2 });
    const mounts = [mount];
    const record = await createContainer(cluster.leader, { ...ALWAYS, mounts });
    await start(record.id);
    await away(agent(record.nodeId));
    await sleep(200);
    await expect(start(record.id)).rejects.toMatchObject({
      message: expect.stringContaining(`${what} exists only there`),
    });
  });
});

describe('nodes', () => {
  test('a drained host gives its restarting containers away and takes no new ones; a paused one keeps them', async () => {
    await begin({ agents: 2 });
    const { nodes } = cluster.leader;
    const record = await createContainer(cluster.leader, { ...ALWAYS, constraints: ['node.id!=h9'] });
    await start(record.id);
    const other = record.nodeId === 'h1' ? 'h2' : 'h1';
    await nodes.updateNode({ id: record.nodeId, availability: NodeAvailability.PAUSE });
    expect((await createContainer(cluster.leader)).nodeId).toBe(other);
    expect(runsOn(record.id)).toEqual([record.nodeId]);
    await nodes.updateNode({ id: record.nodeId, availability: NodeAvailability.DRAIN });
    await until(() => runsOn(record.id).join() === other);
    await expect(createContainer(cluster.leader, { constraints: [`node.id==${record.nodeId}`] })).rejects.toMatchObject(
      {
        message: 'no suitable node: 2 hosts: 1 is drained, 1 does not match node.id=='.concat(record.nodeId),
      },
    );
    await nodes.updateNode({ id: record.nodeId, availability: NodeAvailability.ACTIVE });
    expect((await createContainer(cluster.leader, { constraints: [`node.id==${record.nodeId}`] })).nodeId).toBe(
      record.nodeId,
    );
  });

  test('a node is removed when it is down and empty, or by force', async () => {
    await begin({ agents: 1 });
    const { nodes } = cluster.leader;
    await createContainer(cluster.leader);
    await expect(nodes.removeNode({ id: 'h1', force: false })).rejects.toMatchObject({
      message: expect.stringMatching(/is not down/),
    });
    await away(agent('h1'));
    await expect(nodes.removeNode({ id: 'h1', force: false })).rejects.toMatchObject({
      message: expect.stringMatching(/has 1 containers/),
    });
    await nodes.removeNode({ id: 'h1', force: true });
    expect((await nodes.listNodes({})).nodes).toEqual([]);
    await expect(nodes.removeNode({ id: 'h1', force: true })).rejects.toMatchObject({ reason: 'not-found' });
  });

  test('a build gets a host and avoids those it has', async () => {
    await begin({ agents: 2 });
    const channel = new Channel({
      address: cluster.leader.address,
      tls: await cluster.identity('image-builder', 'b1'),
      serverRole: 'scheduler',
    });
    const builder = channel.client(nodeV1.NodeServiceService);
    const first = await builder.placeBuild({ constraints: [], avoid: [] });
    const second = await builder.placeBuild({ constraints: [], avoid: [first.node?.id ?? ''] });
    expect(new Set([first.node?.id, second.node?.id])).toEqual(new Set(['h1', 'h2']));
    await expect(builder.placeBuild({ constraints: ['node.id==h9'], avoid: [] })).rejects.toMatchObject({
      reason: 'failed-precondition',
    });
    channel.close();
  });
});

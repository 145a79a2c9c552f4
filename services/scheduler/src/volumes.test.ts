import { nodeV1, volumeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createContainer, type SpecInput, startTestCluster, type TestCluster, until } from './testing/index.ts';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({ agents: 3, nodeTimeoutMs: 1_500 });
});
afterAll(() => cluster.stop());

type Asked = Parameters<typeof volumeV1.VolumeRecord.fromPartial>[0];

async function make(asked: Asked): Promise<volumeV1.VolumeRecord> {
  const { volume } = await cluster.leader.volumes.createVolume({ volume: volumeV1.VolumeRecord.fromPartial(asked) });
  if (!volume) throw new Error('the answer has no volume');
  return volume;
}
const drop = (name: string, force = false) => cluster.leader.volumes.removeVolume({ name, force });
const container = (spec: SpecInput) => createContainer(cluster.leader, spec);
const remove = (id: string, volumes = false) => cluster.leader.containers.removeContainer({ id, force: true, volumes });
const mount = (source: string, more: object = {}) => ({ mounts: [{ type: 'volume', source, target: '/v', ...more }] });
const ordersFor = (volume: string) =>
  cluster.agents.filter(({ containers }) => containers.journal.includes(`REMOVE_VOLUME ${volume}`)).map(({ id }) => id);

describe('create', () => {
  test('a name is chosen when none is given; the same name again is the same volume', async () => {
    const anonymous = await make({ labels: { a: 'b' } });
    expect(anonymous).toMatchObject({ driver: 'local', nodeId: '', anonymous: true, labels: { a: 'b' } });
    expect(anonymous.name).toMatch(/^[0-9a-f]{64}$/);
    const [one, two] = await Promise.all([make({ name: 'twice' }), make({ name: 'twice' })]);
    expect(two).toEqual(one);
    expect(one.createdAtNs).toBeGreaterThan(0n);
  });

  test.each([
    ['a name of one letter', { name: 'x' }, 'too short'],
    ['a path', { name: '../x' }, 'invalid characters'],
    ['a driver that is not there', { name: 'other', driver: 'nfs' }, 'plugin "nfs" not found'],
  ])('%s is refused', async (_name, asked, words) => {
    await expect(make(asked)).rejects.toMatchObject({ message: expect.stringContaining(words) });
  });

  test('other options for a name in use are a conflict', async () => {
    const options = { type: 'tmpfs', device: 'tmpfs' };
    await make({ name: 'mem', options });
    expect(await make({ name: 'mem' })).toMatchObject({ options });
    await expect(make({ name: 'mem', options: { ...options, o: 'size=1m' } })).rejects.toMatchObject({
      reason: 'conflict',
    });
  });
});

describe('use', () => {
  test('the first container decides the host; later ones follow, also when no container has it any more', async () => {
    await make({ name: 'home', options: { type: 'tmpfs', device: 'tmpfs' } });
    const first = await container(mount('home'));
    expect(first.spec?.mounts[0]?.volumeOptions).toEqual({ type: 'tmpfs', device: 'tmpfs' });
    expect((await make({ name: 'home' })).nodeId).toBe(first.nodeId);
    await remove(first.id, true);
    for (let round = 0; round < 3; round++) {
      const next = await container(mount('home'));
      expect(next.nodeId).toBe(first.nodeId);
      await remove(next.id);
    }
  });

  test('of many containers at once that bring one name with them all are on one host', async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => container(mount('crowd'))));
    expect(new Set(made.map(({ nodeId }) => nodeId)).size).toBe(1);
    expect((await make({ name: 'crowd' })).nodeId).toBe(made[0]?.nodeId);
    for (const { id } of made) await remove(id);
  });

  test('what a container leaves behind is known afterwards; what goes with it is not', async () => {
    const stays = 'a'.repeat(64);
    const goes = 'b'.repeat(64);
    const left = await container(mount(stays, { anonymous: true }));
    await remove(left.id);
    await remove((await container(mount(goes, { anonymous: true }))).id, true);
    expect(await make({ name: stays })).toMatchObject({ nodeId: left.nodeId, anonymous: true });
    await expect(drop(goes)).rejects.toMatchObject({ reason: 'not-found' });
    await drop(stays);
    expect(ordersFor(stays)).toEqual([left.nodeId]);
  });
});

describe('remove', () => {
  test('not while a container has it, running or not', async () => {
    const user = await container(mount('busy'));
    await expect(drop('busy', true)).rejects.toMatchObject({
      reason: 'conflict',
      message: `remove busy: volume is in use - [${user.id}]`,
    });
    await remove(user.id);
    await drop('busy');
    expect(ordersFor('busy')).toEqual([user.nodeId]);
    await expect(drop('busy')).rejects.toMatchObject({ reason: 'not-found', message: 'get busy: no such volume' });
  });

  test('one that was never used asks no host', async () => {
    await make({ name: 'unused' });
    await drop('unused');
    expect(ordersFor('unused')).toEqual([]);
  });

  test('one on a host that is away: refused with its reason, done with force', async () => {
    const agent = await cluster.addAgent('h9');
    const user = await container({ ...mount('away'), constraints: ['node.id==h9'] });
    await remove(user.id);
    await agent.stop();
    await expect(drop('away')).rejects.toMatchObject({ reason: 'unavailable' });
    await drop('away', true);
    expect((await make({ name: 'away' })).nodeId).toBe('');
    // Files of the earlier one are still there: it takes nobody who wants the new one before they are gone.
    const pinned = () => container({ ...mount('away'), constraints: ['node.id==h9'] });
    await expect(pinned()).rejects.toMatchObject({ reason: 'failed-precondition' });
    agent.start();
    // Once its host has obeyed, and that is written down.
    let next: Awaited<ReturnType<typeof container>> | undefined;
    await until(async () => {
      next = await pinned().catch(() => undefined);
      return next !== undefined;
    });
    expect(agent.containers.volumes.get('away')).toBe('made on h9');
    await remove(next?.id ?? '');
    await drop('away');
    expect(ordersFor('away')).toHaveLength(1);
    await agent.stop();
  });

  test.each([
    ['with its volumes', true],
    ['without', false],
  ])('a container removed %s while its host is away', async (_name, volumes) => {
    const source = (volumes ? 'c' : 'd').repeat(64);
    const removals: boolean[] = [];
    const agent = await cluster.addAgent(volumes ? 'h6' : 'h7', {
      onOrder: (order) => {
        if (order.action === nodeV1.Action.REMOVE) removals.push(order.volumes);
      },
    });
    const user = await container({ ...mount(source, { anonymous: true }), constraints: [`node.id==${agent.id}`] });
    await agent.stop();
    await until(async () => {
      const { statuses } = await cluster.leader.nodes.listNodes({});
      return statuses.find(({ id }) => id === agent.id)?.readiness === nodeV1.NodeReadiness.DOWN;
    });
    await remove(user.id, volumes);
    if (volumes) await expect(drop(source)).rejects.toMatchObject({ reason: 'not-found' });
    else expect(await make({ name: source })).toMatchObject({ nodeId: agent.id, anonymous: true });
    await agent.start().connected();
    await until(() => removals.length > 0);
    expect(removals).toEqual([volumes]);
    await until(() => agent.containers.get(user.id) === undefined);
    if (!volumes) await drop(source);
    await agent.stop();
  });
});

import { failedPrecondition } from '@atoll/errors';
import { containerV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createContainer,
  newContainerId,
  type SpecInput,
  startTestCluster,
  type TestCluster,
  until,
} from './testing/index.ts';

const { ContainerState, DesiredState } = containerV1;

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({ agents: 3 });
});
afterAll(() => cluster.stop());

const api = () => cluster.leader.containers;
const create = (spec: SpecInput = {}, id?: string): Promise<containerV1.ContainerRecord> =>
  createContainer(cluster.leader, spec, id);
const agentOf = (record: containerV1.ContainerRecord) => {
  const agent = cluster.agents.find((one) => one.id === record.nodeId);
  if (!agent) throw new Error(`no agent ${record.nodeId}`);
  return agent;
};
const stopped = { signal: '', timeoutSeconds: undefined };

describe('create', () => {
  test('spreads over hosts, tells each host, and records what is wanted', async () => {
    const records = await Promise.all(Array.from({ length: 6 }, () => create()));
    const hosts = new Map<string, number>();
    for (const record of records) hosts.set(record.nodeId, (hosts.get(record.nodeId) ?? 0) + 1);
    expect([...hosts.values()]).toEqual([2, 2, 2]);
    for (const record of records) {
      expect(record).toMatchObject({ desired: DesiredState.CREATED, generation: 1n, placements: 0 });
      expect(record.revision).toBeGreaterThan(0n);
      await until(() => agentOf(record).containers.get(record.id) !== undefined);
      await api().removeContainer({ id: record.id, force: false, volumes: false });
    }
  });

  test('the same id twice is the same container', async () => {
    const id = newContainerId();
    const [one, two] = await Promise.all([create({}, id), create({}, id)]);
    expect(two).toEqual(one);
    await expect(create({ name: 'another' }, id)).rejects.toMatchObject({ reason: 'conflict' });
  });

  test('of two with one name at the same time one is refused, with words of docker', async () => {
    const results = await Promise.allSettled([create({ name: 'twice' }), create({ name: 'twice' })]);
    const [won, lost] = results[0]?.status === 'fulfilled' ? results : [...results].reverse();
    if (won?.status !== 'fulfilled' || lost?.status !== 'rejected') throw new Error('one has to win');
    expect(lost.reason).toMatchObject({
      reason: 'already-exists',
      message: `Conflict. The container name "/twice" is already in use by container "${won.value.id}". You have to remove (or rename) that container to be able to reuse that name.`,
    });
    await api().removeContainer({ id: won.value.id, force: false, volumes: false });
    expect((await create({ name: 'twice' })).spec?.name).toBe('twice');
  });

  test('a name is made up when none is given', async () => {
    const record = await create({ name: '' });
    expect(record.spec?.name).toMatch(/^[a-z]+_[a-z]+\d*$/);
  });

  test.each([
    ['a bad name', { name: '-x' }, /Invalid container name \(-x\), only \[a-zA-Z0-9\]\[a-zA-Z0-9_.-\] are allowed/],
    ['one character', { name: 'x' }, /Invalid container name/],
    ['a malformed constraint', { constraints: ['nonsense'] }, /constraint "nonsense" is malformed/],
  ])('%s is refused', async (_name, spec, message) => {
    await expect(create(spec)).rejects.toMatchObject({
      reason: 'invalid-argument',
      message: expect.stringMatching(message),
    });
  });

  test('a constraint decides, and what fits nowhere says why', async () => {
    expect((await create({ constraints: ['node.hostname==h2'] })).nodeId).toBe('h2');
    await expect(create({ constraints: ['node.hostname==h9'] })).rejects.toMatchObject({
      reason: 'failed-precondition',
      message: 'no suitable node: 3 hosts: 3 do not match node.hostname==h9',
    });
    await expect(create({ resources: { memory: 1024n ** 4n } })).rejects.toMatchObject({
      message: expect.stringMatching(/3 have too little free memory \(needs 1 TiB; most free: .* on h\d\)/),
    });
  });

  test('who uses a named volume goes where it is', async () => {
    const mounts = [{ type: 'volume', source: 'data', target: '/data' }];
    const records = [await create({ mounts }), await create({ mounts }), await create({ mounts })];
    expect(new Set(records.map((record) => record.nodeId)).size).toBe(1);
    const elsewhere = records[0]?.nodeId === 'h1' ? 'h2' : 'h1';
    await expect(create({ mounts, constraints: [`node.id==${elsewhere}`] })).rejects.toMatchObject({
      message: expect.stringContaining(`1 does not match volume data, which is on ${records[0]?.nodeId}`),
    });
    for (const { id } of records) await api().removeContainer({ id, force: false, volumes: false });
    expect((await create({ mounts })).nodeId).toBe(records[0]?.nodeId);
  });

  test('host ports: 0 becomes a port nobody has, of one host only they are kept apart', async () => {
    const network = (hostPort: number) => ({ ports: [{ containerPort: 80, protocol: 'tcp', hostPort }] });
    const records = await Promise.all(Array.from({ length: 5 }, () => create({ network: network(0) })));
    const ports = records.map((record) => record.ports[0]?.hostPort ?? 0);
    expect(new Set(ports).size).toBe(5);
    expect(ports.every((port) => port >= 32_768 && port <= 60_999)).toBe(true);
    const own = { ports: [{ containerPort: 80, protocol: 'tcp', hostPort: 8080, hostOnly: true }] };
    const same = await Promise.all(Array.from({ length: 3 }, () => create({ network: own })));
    expect(new Set(same.map((record) => record.nodeId)).size).toBe(3);
    // As under docker: which of them may run is decided at the start.
    same.push(await create({ network: own }));
    const all = await create({ network: { publishAll: true, exposedPorts: ['80/tcp', '53/udp'] } });
    expect(all.ports.map((port) => `${port.containerPort}/${port.protocol}`)).toEqual(['80/tcp', '53/udp']);
    const host = await create({ network: { mode: 'host', ...network(8080) } });
    expect(host.ports).toEqual([]);
    for (const record of [...records, ...same, all, host])
      await api().removeContainer({ id: record.id, force: true, volumes: false });
  });

  test('a container goes to a host that has its runtime, and to none when no host has it', async () => {
    const runtimes = [
      { name: 'native', path: '/shim' },
      { name: 'runsc', path: '/usr/bin/runsc' },
    ];
    const agent = await cluster.addAgent('sandboxed', { facts: { runtimes } });
    const record = await create({ runtime: 'runsc' });
    expect(record.nodeId).toBe('sandboxed');
    await expect(create({ runtime: 'runsc', constraints: ['node.hostname!=sandboxed'] })).rejects.toMatchObject({
      reason: 'failed-precondition',
      message: expect.stringContaining('3 lack the runtime (runsc)'),
    });
    await expect(create({ runtime: 'kata' })).rejects.toMatchObject({
      reason: 'invalid-argument',
      message: 'unknown or invalid runtime name: kata',
    });
    await api().removeContainer({ id: record.id, force: true, volumes: false });
    await agent.close();
    await cluster.leader.nodes.removeNode({ id: 'sandboxed', force: true });
  });

  test('what needs the users of the host is not placed where containers have none of them', async () => {
    const agent = await cluster.addAgent('remapping', { facts: { usernsRemap: true } });
    const on = { constraints: ['node.hostname==remapping'], security: { privileged: true } };
    await expect(create(on)).rejects.toMatchObject({
      reason: 'failed-precondition',
      message: expect.stringMatching(/1 runs containers in user namespaces \(privileged mode is incompatible/),
    });
    const record = await create({ ...on, usernsMode: 'host' });
    expect(record.nodeId).toBe('remapping');
    await api().removeContainer({ id: record.id, force: true, volumes: false });
    await agent.close();
    await cluster.leader.nodes.removeNode({ id: 'remapping', force: true });
  });

  test('what names an AppArmor profile is placed where there are some, and refused when no host has them', async () => {
    const missing = 'its kernel has no AppArmor, or it is off';
    const security = { apparmorProfile: 'web' };
    const without = await cluster.addAgent('bare', {
      facts: { apparmor: { enabled: false, defaultProfile: '', missing } },
    });
    await expect(create({ security })).rejects.toMatchObject({
      reason: 'unimplemented',
      message: expect.stringMatching(
        /"apparmor=web": no host has AppArmor \(.*bare: its kernel has no AppArmor, or it is off/,
      ),
    });
    const agent = await cluster.addAgent('confining', {
      facts: { apparmor: { enabled: true, defaultProfile: 'atoll-default', missing: '' } },
    });
    const record = await create({ security });
    expect(record.nodeId).toBe('confining');
    await expect(create({ security, constraints: ['node.hostname==bare'] })).rejects.toMatchObject({
      reason: 'failed-precondition',
      message: expect.stringContaining(`1 has no AppArmor (for profile web; bare: ${missing})`),
    });
    const unconfined = { security: { apparmorProfile: 'unconfined' }, constraints: ['node.hostname==bare'] };
    const free = await create(unconfined);
    expect(free.nodeId).toBe('bare');
    for (const { id } of [record, free]) await api().removeContainer({ id, force: true, volumes: false });
    for (const one of [without, agent]) await one.close();
    for (const id of ['bare', 'confining']) await cluster.leader.nodes.removeNode({ id, force: true });
  });

  test('what has a limit of storage is placed where the limit holds', async () => {
    const missing = 'its data root is on btrfs, and only xfs and ext4 are used for it';
    const without = await cluster.addAgent('unlimited', { facts: { noStorageLimits: missing } });
    const on = (name: string) => ({ constraints: [`node.hostname==${name}`], resources: { storageLimit: 1n << 30n } });
    await expect(create(on('unlimited'))).rejects.toMatchObject({
      reason: 'failed-precondition',
      message: expect.stringContaining(`1 cannot limit what a container stores (unlimited: ${missing})`),
    });
    await expect(create({ resources: { storageLimit: 1n } })).rejects.toMatchObject({
      message: expect.stringContaining('its agent does not say that it can'),
    });
    const agent = await cluster.addAgent('limiting', { facts: { storageLimits: 'xfs' } });
    const record = await create({ resources: { storageLimit: 1n << 30n } });
    expect(record.nodeId).toBe('limiting');
    await api().removeContainer({ id: record.id, force: true, volumes: false });
    for (const one of [without, agent]) await one.close();
    for (const id of ['unlimited', 'limiting']) await cluster.leader.nodes.removeNode({ id, force: true });
  });

  test('what names an SELinux label is placed where SELinux is used, and refused when no host does', async () => {
    const missing = 'its kernel has no SELinux, or it is off';
    const security = { selinux: { type: 'web_t' }, securityOpt: ['label=type:web_t'] };
    const without = await cluster.addAgent('plain', { facts: { selinux: { enabled: false, missing } } });
    await expect(create({ security })).rejects.toMatchObject({
      reason: 'unimplemented',
      message: expect.stringMatching(/"label=type:web_t": no host uses SELinux \(.*plain: its kernel has no SELinux/),
    });
    const agent = await cluster.addAgent('labelling', { facts: { selinux: { enabled: true, missing: '' } } });
    const record = await create({ security });
    expect(record.nodeId).toBe('labelling');
    await expect(create({ security, constraints: ['node.hostname==plain'] })).rejects.toMatchObject({
      reason: 'failed-precondition',
      message: expect.stringContaining(`1 does not use SELinux (for label=type:web_t; plain: ${missing})`),
    });
    const disabled = { security: { selinux: { disable: true } }, constraints: ['node.hostname==plain'] };
    const free = await create(disabled);
    expect(free.nodeId).toBe('plain');
    for (const { id } of [record, free]) await api().removeContainer({ id, force: true, volumes: false });
    for (const one of [without, agent]) await one.close();
    for (const id of ['plain', 'labelling']) await cluster.leader.nodes.removeNode({ id, force: true });
  });

  test('a record its host can never run is refused and leaves nothing', async () => {
    const agent = await cluster.addAgent('picky', {
      onOrder: (order) => {
        if (order.action === nodeV1.Action.ENSURE) throw failedPrecondition('no runtime "kata" here');
      },
    });
    await expect(create({ name: 'picky-one', constraints: ['node.hostname==picky'] })).rejects.toMatchObject({
      reason: 'failed-precondition',
      message: 'no runtime "kata" here',
    });
    await agent.close();
    await cluster.leader.nodes.removeNode({ id: 'picky', force: true });
    expect((await create({ name: 'picky-one' })).spec?.name).toBe('picky-one');
  });
});

describe('running', () => {
  test('start, stop, start again, restart, kill', async () => {
    const { id } = await create();
    const started = await api().startContainer({ id });
    expect(started).toMatchObject({ unchanged: false, status: { state: ContainerState.RUNNING, pid: 4242 } });
    expect(started.record).toMatchObject({ desired: DesiredState.RUNNING, generation: 2n });
    expect(await api().startContainer({ id })).toMatchObject({ unchanged: true });
    const end = await api().stopContainer({ id, ...stopped });
    expect(end).toMatchObject({ unchanged: false, status: { state: ContainerState.EXITED, exitCode: 143 } });
    expect(end.record?.desired).toBe(DesiredState.STOPPED);
    expect(await api().stopContainer({ id, ...stopped })).toMatchObject({ unchanged: true });
    expect(await api().restartContainer({ id, ...stopped })).toMatchObject({
      status: { state: ContainerState.RUNNING },
    });
    const hup = await api().killContainer({ id, signal: 'HUP' });
    expect(hup.record?.desired).toBe(DesiredState.RUNNING);
    await api().startContainer({ id });
    const killed = await api().killContainer({ id, signal: '' });
    expect(killed).toMatchObject({ record: { desired: DesiredState.STOPPED }, status: { exitCode: 137 } });
    await expect(api().killContainer({ id, signal: '' })).rejects.toMatchObject({
      reason: 'conflict',
      message: expect.stringMatching(/^cannot kill container: .* is not running$/),
    });
  });

  test('pause and unpause', async () => {
    const { id } = await create();
    await expect(api().pauseContainer({ id })).rejects.toMatchObject({ message: `container ${id} is not running` });
    await api().startContainer({ id });
    expect(await api().pauseContainer({ id })).toMatchObject({ status: { state: ContainerState.PAUSED } });
    await expect(api().pauseContainer({ id })).rejects.toMatchObject({ message: `container ${id} is already paused` });
    await expect(api().startContainer({ id })).rejects.toMatchObject({
      message: 'cannot start a paused container, try unpause instead',
    });
    expect(await api().unpauseContainer({ id })).toMatchObject({ status: { state: ContainerState.RUNNING } });
    await expect(api().unpauseContainer({ id })).rejects.toMatchObject({ message: `container ${id} is not paused` });
  });

  test.each([
    ['start', (id: string) => api().startContainer({ id })],
    ['stop', (id: string) => api().stopContainer({ id, ...stopped })],
    ['kill', (id: string) => api().killContainer({ id, signal: '' })],
    ['remove', (id: string) => api().removeContainer({ id, force: false, volumes: false })],
    ['rename', (id: string) => api().renameContainer({ id, name: 'x' })],
  ])('%s of no container is not-found', async (_name, call) => {
    await expect(call('f00')).rejects.toMatchObject({ reason: 'not-found', message: 'No such container: f00' });
  });

  test('an unknown signal is refused', async () => {
    const { id } = await create();
    await api().startContainer({ id });
    await expect(api().killContainer({ id, signal: 'NOPE' })).rejects.toMatchObject({
      message: 'Invalid signal: NOPE',
    });
  });

  test('a start the agent refuses is its error and is not wanted afterwards', async () => {
    const agent = await cluster.addAgent('broken', {
      onOrder: (order) => {
        if (order.action === nodeV1.Action.START)
          throw failedPrecondition('exec: "nope": executable file not found in $PATH');
      },
    });
    const { id } = await create({ constraints: ['node.hostname==broken'] });
    await expect(api().startContainer({ id })).rejects.toMatchObject({
      message: 'exec: "nope": executable file not found in $PATH',
    });
    expect(await api().stopContainer({ id, ...stopped })).toMatchObject({ record: { desired: DesiredState.CREATED } });
    await api().removeContainer({ id, force: true, volumes: false });
    const brief = await create({ autoRemove: true, constraints: ['node.hostname==broken'] });
    await expect(api().startContainer({ id: brief.id })).rejects.toMatchObject({ reason: 'failed-precondition' });
    await until(() => agent.containers.get(brief.id) === undefined);
    await agent.close();
    await cluster.leader.nodes.removeNode({ id: 'broken', force: true });
  });
});

describe('remove', () => {
  test('needs force while it runs, with words of docker; then the name is free', async () => {
    const { id, spec } = await create();
    await api().startContainer({ id });
    await expect(api().removeContainer({ id, force: false, volumes: false })).rejects.toMatchObject({
      reason: 'conflict',
      message: `cannot remove container "/${spec?.name}": container is running: stop the container before removing or force remove`,
    });
    await api().pauseContainer({ id });
    await expect(api().removeContainer({ id, force: false, volumes: false })).rejects.toMatchObject({
      message: `cannot remove container "/${spec?.name}": container is paused and must be unpaused first`,
    });
    const { revision } = await api().removeContainer({ id, force: true, volumes: false });
    expect(revision).toBeGreaterThan(0n);
    await expect(api().startContainer({ id })).rejects.toMatchObject({ reason: 'not-found' });
    expect((await create({ name: spec?.name ?? '' })).spec?.name).toBe(spec?.name);
  });

  test('a refusal does not rest on a status that is on its way out', async () => {
    const record = await create();
    await api().startContainer({ id: record.id });
    // The container ended, its client knows from the agent, and the scheduler has not heard yet.
    agentOf(record).containers.exit(record.id, 0);
    await api().removeContainer({ id: record.id, force: false, volumes: false });
  });

  test.each([
    ['one that has ended: gone at once, and its host asked again until it has followed', undefined],
    ['one with a volume that may be the last to know of it: for its host to refuse', 'busy'],
  ])('%s', async (_name, refused) => {
    let busy = true;
    const agent = await cluster.addAgent('busy', {
      onOrder: (order) => {
        if (order.action === nodeV1.Action.REMOVE && busy) throw failedPrecondition('busy');
      },
    });
    const mounts = refused ? [{ type: 'volume', source: 'a'.repeat(64), target: '/data', anonymous: true }] : [];
    const { id } = await create({ constraints: ['node.hostname==busy'], mounts });
    await api().startContainer({ id });
    agent.exit(id, 0);
    await until(async () => (await api().stopContainer({ id, ...stopped })).record?.id === id);
    const removal = api().removeContainer({ id, force: false, volumes: false });
    const outcome = await removal.then(
      () => undefined,
      (error: Error) => error.message,
    );
    expect(outcome).toBe(refused);
    expect(agent.containers.get(id)).toBeDefined();
    busy = false;
    if (refused) await api().removeContainer({ id, force: false, volumes: true });
    await until(() => agent.containers.get(id) === undefined);
    await agent.close();
    await cluster.leader.nodes.removeNode({ id: 'busy', force: true });
  });

  test('auto-remove: the end of the container is its removal', async () => {
    const record = await create({ autoRemove: true });
    await api().startContainer({ id: record.id });
    agentOf(record).exit(record.id, 3);
    await until(async () => {
      try {
        await api().renameContainer({ id: record.id, name: 'zombie' });
        return false;
      } catch {
        return true;
      }
    });
    expect(agentOf(record).containers.get(record.id)).toBeUndefined();
  });
});

describe('rename and update', () => {
  test('a renamed container frees its old name', async () => {
    const one = await create();
    const two = await create();
    await expect(api().renameContainer({ id: one.id, name: two.spec?.name ?? '' })).rejects.toMatchObject({
      reason: 'already-exists',
      message: `Error when allocating new name: Conflict. The container name "/${two.spec?.name}" is already in use by container "${two.id}". You have to remove (or rename) that container to be able to reuse that name.`,
    });
    const { record } = await api().renameContainer({ id: one.id, name: 'renamed' });
    expect(record?.spec?.name).toBe('renamed');
    expect((await create({ name: one.spec?.name ?? '' })).spec?.name).toBe(one.spec?.name);
  });

  test('an update keeps what is not given and is bounded by the host', async () => {
    const { id } = await create({ resources: { memory: 64n * 1024n ** 2n, nanoCpus: 500_000_000n } });
    const resources = (change: Parameters<typeof containerV1.Resources.fromPartial>[0]) =>
      containerV1.Resources.fromPartial(change);
    const { record } = await api().updateContainer({
      id,
      resources: resources({ memory: 128n * 1024n ** 2n }),
      restartPolicy: { name: 'always', maximumRetryCount: 0 },
    });
    expect(record?.spec?.resources).toMatchObject({ memory: 128n * 1024n ** 2n, nanoCpus: 500_000_000n });
    expect(record?.spec?.restartPolicy?.name).toBe('always');
    await expect(
      api().updateContainer({ id, resources: resources({ memory: 1024n ** 4n }), restartPolicy: undefined }),
    ).rejects.toMatchObject({ reason: 'conflict' });
  });
});

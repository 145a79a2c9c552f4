import { type Bus, CONTAINERS, connectBus, Feed, LEFTOVERS, type Mirror, NatsDesiredStore, VOLUMES } from '@atoll/bus';
import { containerV1, volumeV1 } from '@atoll/proto';
import { startNats, type TestNats, type TestPki, testPki } from '@atoll/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAILPOINTS, type Failpoint } from './domain/failpoint.ts';
import { newContainerId, until } from './testing/requests.ts';
import { SchedulerProcess } from './testing/scheduler-process.ts';
import { SimulatedAgent } from './testing/simulated-agent.ts';

const S = containerV1.ContainerState;

let nats: TestNats;
let pki: TestPki;
let scheduler: SchedulerProcess;
let agents: readonly SimulatedAgent[];
let bus: Bus;
let feed: Feed;
let records: Mirror<containerV1.ContainerRecord>;
let volumes: Mirror<volumeV1.VolumeRecord>;
let leftovers: Mirror<volumeV1.VolumeLeftover>;

beforeAll(async () => {
  nats = await startNats();
  pki = await testPki();
  scheduler = await SchedulerProcess.create(nats, pki);
  scheduler.start();
  await scheduler.serving();
  const schedulers = [scheduler.address];
  agents = await Promise.all(
    ['h1', 'h2'].map(async (id) => new SimulatedAgent({ tls: await pki.identity('node', id), schedulers }).start()),
  );
  await connected();
  bus = await connectBus({ servers: [nats.url], name: 'check' });
  feed = new Feed(new NatsDesiredStore(bus).source(), { name: 'desired', onRegress: 'keep' });
  records = feed.mirror(CONTAINERS);
  volumes = feed.mirror(VOLUMES);
  leftovers = feed.mirror(LEFTOVERS);
  feed.start();
}, 60_000);
afterAll(async () => {
  await feed?.close();
  await bus?.close();
  for (const agent of agents ?? []) await agent.close();
  await scheduler?.dispose();
  await nats?.stop();
});

const connected = () => Promise.all(agents.map((agent) => agent.connected()));
const at = (operation: string): Failpoint[] => FAILPOINTS.filter((name) => name.startsWith(`${operation}.`));
const host = (id: string | undefined): SimulatedAgent => {
  const found = agents.find((agent) => agent.id === id);
  if (!found) throw new Error(`no host ${id}`);
  return found;
};
/** Which hosts have files of the volume, and where those were made. */
const copies = (name: string) =>
  agents.flatMap(({ id, containers }) => {
    const content = containers.volumes.get(name);
    return content === undefined ? [] : [`${id}: ${content}`];
  });

async function crashAt(name: Failpoint, operation: () => Promise<unknown>): Promise<void> {
  await scheduler.kill();
  scheduler.start(name);
  const outcome = (async () => {
    await scheduler.serving();
    await connected();
    await operation();
  })().catch((error: unknown) => error);
  expect(await scheduler.crashed()).toBe('SIGKILL');
  scheduler.start();
  await scheduler.serving();
  await until(async () => (await connected()).every(({ epoch }, index) => epoch === agents[index]?.epoch));
  await outcome;
}

async function user(volume: string, more: object = {}): Promise<string> {
  const id = newContainerId();
  const spec = containerV1.ContainerSpec.fromPartial({
    name: `c-${id.slice(0, 12)}`,
    image: { reference: 'busybox' },
    mounts: [{ type: 'volume', source: volume, target: '/v' }],
    ...more,
  });
  await scheduler.containers.createContainer({ id, spec });
  await scheduler.containers.startContainer({ id });
  await until(() => volumes.get(volume)?.nodeId !== undefined && records.get(id) !== undefined);
  return id;
}

async function clear(volume: string, ids: readonly string[]): Promise<void> {
  for (const id of ids) await scheduler.containers.removeContainer({ id, force: true, volumes: false });
  await scheduler.volumes.removeVolume({ name: volume, force: false });
  await until(() => copies(volume).length === 0 && volumes.get(volume) === undefined && leftovers.size === 0);
}

async function move(name: string, node: string): Promise<void> {
  for await (const _ of scheduler.volumes.moveVolume({
    name,
    node,
    recreate: true,
    timeoutSeconds: undefined,
    with: [],
  }));
}

/** As somebody does who is told to try again: the leader may hear of a tombstone's end after this process. */
async function moveAgain(name: string, node: string): Promise<void> {
  await until(async () => {
    const refusal = await move(name, node).then(() => undefined, String);
    if (refusal !== undefined && !refusal.includes('has yet to remove files')) throw new Error(refusal);
    return refusal === undefined;
  });
}

describe('a scheduler killed while a volume is moved', { timeout: 60_000 }, () => {
  test.each(at('move'))('%s: there is one copy, where the record says, and its user runs there', async (failpoint) => {
    const volume = failpoint.replaceAll('.', '-');
    const id = await user(volume);
    const source = volumes.get(volume)?.nodeId ?? '';
    const target = source === 'h1' ? 'h2' : 'h1';
    await crashAt(failpoint, () => move(volume, target));
    await until(() => volumes.get(volume) !== undefined && volumes.get(volume)?.operation === undefined);
    const committed = at('move').indexOf(failpoint) >= at('move').indexOf('move.5-committed');
    const home = committed ? target : source;
    expect(volumes.get(volume)?.nodeId).toBe(home);
    // A host that was not back yet is told by a tombstone.
    await until(() => leftovers.size === 0 && copies(volume).length === 1);
    expect(copies(volume)).toEqual([`${home}: made on ${source}`]);
    await until(() => host(home).containers.get(id)?.state === S.RUNNING);
    expect(records.get(id)?.nodeId).toBe(home);
    await until(() => host(committed ? source : target).containers.get(id) === undefined);
    // Whoever got no answer asks again.
    if (!committed) {
      await until(() => leftovers.size === 0);
      await moveAgain(volume, target);
      expect(copies(volume)).toEqual([`${target}: made on ${source}`]);
    }
    await clear(volume, [id]);
  });

  test.each(at('restore'))('%s: the volume is whole, or there is none', async (failpoint) => {
    const volume = failpoint.replaceAll('.', '-');
    let commit: () => void = () => undefined;
    const written = new Promise<void>((resolve) => {
      commit = resolve;
    });
    const requests = async function* (): AsyncGenerator<volumeV1.RestoreVolumeRequest> {
      const value = volumeV1.RestoreVolumeStart.fromPartial({ name: volume, node: 'h2' });
      yield { message: { $case: 'start', value } };
      await written;
      yield { message: { $case: 'commit', value: { labels: { a: 'b' } } } };
    };
    await crashAt(failpoint, async () => {
      for await (const answer of scheduler.volumes.restoreVolume(requests())) {
        if (!answer.volume?.operation) return;
        // As the gateway has the host do it.
        host('h2').containers.volumes.ensure(volume);
        commit();
      }
    });
    commit();
    const whole = failpoint === 'restore.2-committed';
    await until(() => (volumes.get(volume) !== undefined) === whole && volumes.get(volume)?.operation === undefined);
    if (whole) {
      expect(volumes.get(volume)).toMatchObject({ nodeId: 'h2', labels: { a: 'b' } });
      await clear(volume, []);
    }
    await until(() => copies(volume).length === 0 && leftovers.size === 0);
  });

  test.each(at('resume'))('%s: nothing of the restore is left, and it begins anew', async (failpoint) => {
    const volume = failpoint.replaceAll('.', '-');
    const restoreId = newContainerId().slice(0, 32);
    const once = async (resume: boolean): Promise<void> => {
      const requests = async function* (): AsyncGenerator<volumeV1.RestoreVolumeRequest> {
        const value = volumeV1.RestoreVolumeStart.fromPartial({ name: volume, node: 'h2', restoreId, resume });
        yield { message: { $case: 'start', value } };
      };
      // Ends without a last word.
      for await (const _ of scheduler.volumes.restoreVolume(requests())) host('h2').containers.volumes.ensure(volume);
    };
    await crashAt(failpoint, async () => {
      await once(false).catch(() => undefined);
      await once(true);
    });
    await until(() => volumes.get(volume) === undefined && copies(volume).length === 0 && leftovers.size === 0);
    await expect(once(true)).rejects.toMatchObject({ reason: 'not-found' });
    await scheduler.volumes.createVolume({ volume: { ...volumeV1.VolumeRecord.fromPartial({ name: volume }) } });
    await clear(volume, []);
  });
});

describe('a scheduler killed while volumes of one container are moved', { timeout: 60_000 }, () => {
  test.each(at('move'))(
    '%s: all of them are on one host, each whole, and the container runs there',
    async (failpoint) => {
      const [lead, other] = [`a-${failpoint}`, `b-${failpoint}`].map((name) => name.replaceAll('.', '-')) as [
        string,
        string,
      ];
      const anonymous = newContainerId();
      const id = await user(lead, {
        mounts: [
          { type: 'volume', source: lead, target: '/v' },
          { type: 'volume', source: other, target: '/w' },
          { type: 'volume', source: anonymous, anonymous: true, target: '/x' },
        ],
      });
      const second = await user(other);
      const source = volumes.get(lead)?.nodeId ?? '';
      const target = source === 'h1' ? 'h2' : 'h1';
      // Named by the one that does not decide in the end, to see that it makes no difference.
      await crashAt(failpoint, () => move(other, target));
      await until(() => [lead, other, anonymous].every((name) => volumes.get(name)?.operation === undefined));
      const committed = at('move').indexOf(failpoint) >= at('move').indexOf('move.5-committed');
      const home = committed ? target : source;
      await until(() => leftovers.size === 0 && [lead, other, anonymous].every((name) => copies(name).length === 1));
      for (const name of [lead, other, anonymous]) expect(copies(name)).toEqual([`${home}: made on ${source}`]);
      expect([volumes.get(lead)?.nodeId, volumes.get(other)?.nodeId]).toEqual([home, home]);
      await until(() => volumes.get(anonymous) === undefined);
      for (const one of [id, second]) {
        await until(() => host(home).containers.get(one)?.state === S.RUNNING);
        expect(records.get(one)?.nodeId).toBe(home);
        await until(() => host(committed ? source : target).containers.get(one) === undefined);
      }
      if (!committed) {
        await until(() => leftovers.size === 0);
        await moveAgain(lead, target);
        for (const name of [lead, other, anonymous]) expect(copies(name)).toEqual([`${target}: made on ${source}`]);
      }
      await scheduler.containers.removeContainer({ id, force: true, volumes: true });
      await scheduler.containers.removeContainer({ id: second, force: true, volumes: false });
      await clear(lead, []);
      await clear(other, []);
    },
  );
});

describe('a move', { timeout: 60_000 }, () => {
  test('of a volume in use is made in two copies, and nobody starts meanwhile', async () => {
    const id = await user('busy-one');
    const source = volumes.get('busy-one')?.nodeId ?? '';
    const target = source === 'h1' ? 'h2' : 'h1';
    const before = host(target).containers.journal.length;
    await move('busy-one', target);
    const pulls = host(target)
      .containers.journal.slice(before)
      .filter((line) => line.startsWith('PULL'));
    expect(pulls).toEqual(['PULL_VOLUME busy-one first', 'PULL_VOLUME busy-one last']);
    await clear('busy-one', [id]);
  });

  test('that is cut goes on by itself, and nothing is kept at the end', async () => {
    const id = await user('cut-once');
    const source = volumes.get('cut-once')?.nodeId ?? '';
    const target = source === 'h1' ? 'h2' : 'h1';
    host(target).containers.volumes.cuts = 1;
    const phases: string[] = [];
    const asked = { name: 'cut-once', node: target, recreate: true, timeoutSeconds: undefined, with: [] };
    for await (const { progress } of scheduler.volumes.moveVolume(asked)) phases.push(progress?.phase ?? '');
    expect(phases).toContain('retrying');
    expect(copies('cut-once')).toEqual([`${target}: made on ${source}`]);
    expect(volumes.get('cut-once')?.keptNodeId).toBe('');
    expect([...host(target).containers.volumes.kept]).toEqual([]);
    await clear('cut-once', [id]);
  });

  test('that is given up leaves what was received, until the volume is removed', async () => {
    const id = await user('given-up');
    const source = volumes.get('given-up')?.nodeId ?? '';
    const target = source === 'h1' ? 'h2' : 'h1';
    host(target).containers.volumes.cuts = Number.POSITIVE_INFINITY;
    const life = new AbortController();
    const asked = { name: 'given-up', node: target, recreate: true, timeoutSeconds: undefined, with: [] };
    for await (const { progress } of scheduler.volumes.moveVolume(asked, { signal: life.signal })) {
      if (progress?.phase === 'retrying') break;
    }
    life.abort();
    await until(() => volumes.get('given-up')?.operation === undefined && leftovers.size === 0);
    host(target).containers.volumes.cuts = 0;
    expect(volumes.get('given-up')).toMatchObject({ nodeId: source, keptNodeId: target });
    expect([...host(target).containers.volumes.kept]).toEqual(['given-up']);
    await clear('given-up', [id]);
    await until(() => host(target).containers.volumes.kept.size === 0);
  });

  test('of several: one stop, and no container is made or removed with its volumes meanwhile', async () => {
    const anonymous = newContainerId();
    const mounts = [
      { type: 'volume', source: 'one-a', target: '/v' },
      { type: 'volume', source: 'one-b', target: '/w' },
      { type: 'volume', source: anonymous, anonymous: true, target: '/x' },
    ];
    const id = await user('one-a', { mounts });
    const source = volumes.get('one-a')?.nodeId ?? '';
    const target = source === 'h1' ? 'h2' : 'h1';
    const before = [host(source), host(target)].map(({ containers }) => containers.journal.length);
    const asked = { name: 'one-b', node: target, recreate: true, timeoutSeconds: undefined, with: ['one-a'] };
    const refusals: unknown[] = [];
    const done: string[] = [];
    for await (const { progress } of scheduler.volumes.moveVolume(asked)) {
      if (progress?.phase === 'done') done.push(progress.name);
      if (progress?.phase !== 'copying' || refusals.length > 0) continue;
      refusals.push(
        await user(anonymous).catch((error: unknown) => error),
        await scheduler.containers.removeContainer({ id, force: true, volumes: true }).catch((error: unknown) => error),
      );
    }
    for (const refusal of refusals) expect(refusal).toMatchObject({ reason: 'conflict', message: /being moved/ });
    expect(done.toSorted()).toEqual([anonymous, 'one-a', 'one-b'].toSorted());
    const order = host(target)
      .containers.journal.slice(before[1])
      .filter((line) => line.startsWith('PULL'))
      .map((line) => line.split(' ').at(-1));
    expect(order).toEqual(['first', 'first', 'first', 'last', 'last', 'last']);
    const stops = host(source)
      .containers.journal.slice(before[0])
      .filter((line) => line.startsWith('STOP'));
    expect(stops).toHaveLength(1);
    await scheduler.containers.removeContainer({ id, force: true, volumes: true });
    await clear('one-a', []);
    await clear('one-b', []);
  });

  test('of volumes that are on different hosts is refused', async () => {
    const ids = [
      await user('apart-1', { constraints: ['node.id==h1'] }),
      await user('apart-2', { constraints: ['node.id==h2'] }),
    ];
    const asked = { name: 'apart-1', node: 'h2', recreate: true, timeoutSeconds: undefined, with: ['apart-2'] };
    const answer = (async () => {
      for await (const _ of scheduler.volumes.moveVolume(asked));
    })();
    await expect(answer).rejects.toThrow(/only volumes of one host move together/);
    await clear('apart-1', ids.slice(0, 1));
    await clear('apart-2', ids.slice(1));
  });

  test.each([
    ['containers without leave', {}, 'h2', false, /used by c-.*--recreate/],
    ['a host that is not there', {}, 'h9', true, /no node h9/],
    ['its own host', {}, 'h1', true, /is on host h1 already/],
    [
      'a container with a bind mount',
      { mounts: [{ type: 'bind', source: '/x', target: '/x' }] },
      'h2',
      true,
      /the bind mount of \/x/,
    ],
    ['a container that is to be elsewhere', { constraints: ['node.id==h1'] }, 'h2', true, /node\.id==h1/],
    ['--rm', { autoRemove: true }, 'h2', true, /--rm/],
  ])('is refused for %s, and nothing has changed', async (_name, more, node, recreate, words) => {
    const mounts = [{ type: 'volume', source: 'stays', target: '/v' }, ...('mounts' in more ? more.mounts : [])];
    const id = await user('stays', { constraints: ['node.id==~h1'], ...more, mounts });
    const before = volumes.get('stays');
    const asked = { name: 'stays', node, recreate, timeoutSeconds: undefined, with: [] };
    const answer = (async () => {
      for await (const _ of scheduler.volumes.moveVolume(asked));
    })();
    await expect(answer).rejects.toThrow(words);
    expect(volumes.get('stays')).toEqual(before);
    expect(host('h1').containers.get(id)?.state).toBe(S.RUNNING);
    await clear('stays', [id]);
  });
});

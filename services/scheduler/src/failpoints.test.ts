import {
  type Bus,
  CONTAINER_STATUSES,
  CONTAINERS,
  connectBus,
  Feed,
  type Mirror,
  NatsDesiredStore,
  NatsObservedStore,
} from '@atoll/bus';
import { containerV1 } from '@atoll/proto';
import { startNats, type TestNats, type TestPki, testPki } from '@atoll/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { FAILPOINTS, type Failpoint } from './domain/failpoint.ts';
import { newContainerId, until } from './testing/requests.ts';
import { SchedulerProcess } from './testing/scheduler-process.ts';
import { SimulatedAgent } from './testing/simulated-agent.ts';

const S = containerV1.ContainerState;
const D = containerV1.DesiredState;

let nats: TestNats;
let pki: TestPki;
let scheduler: SchedulerProcess;
let agent: SimulatedAgent;
let bus: Bus;
let feeds: readonly Feed[];
let records: Mirror<containerV1.ContainerRecord>;
let statuses: Mirror<containerV1.ContainerStatus>;

beforeAll(async () => {
  nats = await startNats();
  pki = await testPki();
  scheduler = await SchedulerProcess.create(nats, pki);
  scheduler.start();
  await scheduler.serving();
  agent = new SimulatedAgent({ tls: await pki.identity('node', 'h1'), schedulers: [scheduler.address] }).start();
  await agent.connected();
  // What every gateway sees.
  bus = await connectBus({ servers: [nats.url], name: 'check' });
  const desired = new Feed(new NatsDesiredStore(bus).source(), { name: 'desired', onRegress: 'keep' });
  const observed = new Feed(new NatsObservedStore(bus).source(), { name: 'observed', onRegress: 'rebuilt' });
  records = desired.mirror(CONTAINERS);
  statuses = observed.mirror(CONTAINER_STATUSES);
  feeds = [desired.start(), observed.start()];
}, 60_000);
afterAll(async () => {
  for (const feed of feeds ?? []) await feed.close();
  await bus?.close();
  await agent?.close();
  await scheduler?.dispose();
  await nats?.stop();
});

/** Nothing is left of a container that went, anywhere. */
afterEach(async () => {
  await until(() => agent.containers.list().length === 0);
  await until(() => records.size === 0 && statuses.size === 0);
});

const at = (operation: string): Failpoint[] => FAILPOINTS.filter((name) => name.startsWith(`${operation}.`));

/** The scheduler begins anew and is killed at the failpoint, while the operation is under way; then the next one comes. */
async function crashAt(name: Failpoint, operation: () => Promise<unknown>): Promise<void> {
  await scheduler.kill();
  scheduler.start(name);
  // What the operation is answered depends on when its connection ends; it may come too early, or never.
  const outcome = (async () => {
    await scheduler.serving();
    await agent.connected();
    await operation();
  })().catch((error: unknown) => error);
  expect(await scheduler.crashed()).toBe('SIGKILL');
  scheduler.start();
  await scheduler.serving();
  await until(async () => (await agent.connected()).epoch === agent.epoch);
  await outcome;
  await upToDate();
}

/** All that is written is in `records`. */
async function upToDate(): Promise<void> {
  const { state } = await bus.manager.streams.info('KV_atoll_desired');
  await feeds[0]?.caughtUp(BigInt(state.last_seq), AbortSignal.timeout(20_000));
}

const spec = (id: string) =>
  containerV1.ContainerSpec.fromPartial({ name: `c-${id.slice(0, 12)}`, image: { reference: 'busybox' } });
const create = (id: string) => scheduler.containers.createContainer({ id, spec: spec(id) });
const start = (id: string) => scheduler.containers.startContainer({ id });
const stop = (id: string) => scheduler.containers.stopContainer({ id, signal: '' });
const remove = (id: string) => scheduler.containers.removeContainer({ id, force: true, volumes: true });
const actual = (id: string) => agent.containers.get(id)?.state;

async function running(): Promise<string> {
  const id = newContainerId();
  await create(id);
  await start(id);
  return id;
}

describe('F41: a scheduler killed while it works', { timeout: 60_000 }, () => {
  test.each(at('lease'))('%s: the next one leads with all there is', async (name) => {
    const id = await running();
    await crashAt(name, async () => undefined);
    expect(records.get(id)?.desired).toBe(D.RUNNING);
    expect(actual(id)).toBe(S.RUNNING);
    expect(await start(id)).toMatchObject({ unchanged: true });
    await remove(id);
  });

  test.each(at('create'))('%s: asked again, there is one', async (name) => {
    const id = newContainerId();
    await crashAt(name, () => create(id));
    const known = records.get(id) !== undefined;
    // The host was told before the write was durable: what was not written goes there too.
    await until(() => (actual(id) !== undefined) === known);
    const { record } = await create(id);
    expect(record).toMatchObject({ id, desired: D.CREATED, spec: { name: spec(id).name } });
    await until(() => actual(id) === S.CREATED);
    expect(agent.containers.list()).toHaveLength(1);
    await remove(id);
    // Its name is free.
    const other = newContainerId();
    await scheduler.containers.createContainer({ id: other, spec: spec(id) });
    await remove(other);
  });

  test.each(at('start'))('%s: wanted and actual state meet', async (name) => {
    const id = newContainerId();
    await create(id);
    await crashAt(name, () => start(id));
    const wanted = records.get(id)?.desired;
    await until(() => actual(id) === (wanted === D.RUNNING ? S.RUNNING : actual(id)));
    await start(id);
    expect(actual(id)).toBe(S.RUNNING);
    await upToDate();
    expect(records.get(id)?.desired).toBe(D.RUNNING);
    await until(() => statuses.get(id)?.state === S.RUNNING);
    await remove(id);
  });

  test.each(at('stop'))('%s: it stays stopped, its exit code is known', async (name) => {
    const id = await running();
    await crashAt(name, () => stop(id));
    if (records.get(id)?.desired === D.STOPPED) await until(() => actual(id) === S.EXITED);
    await stop(id);
    await until(() => statuses.get(id)?.state === S.EXITED);
    expect(statuses.get(id)).toMatchObject({ exitCode: 143 });
    await upToDate();
    expect(records.get(id)?.desired).toBe(D.STOPPED);
    await remove(id);
  });

  test.each(at('remove'))('%s: it goes, and nothing of it is left', async (name) => {
    const id = await running();
    await crashAt(name, () => remove(id));
    // Whoever got no answer asks again.
    await remove(id).catch((error: unknown) => expect(error).toMatchObject({ reason: 'not-found' }));
    await until(() => records.get(id) === undefined && actual(id) === undefined);
  });

  test.each(at('status'))('%s: no exit code is lost', async (name) => {
    const id = await running();
    await crashAt(name, async () => agent.exit(id, 7));
    // The end may have come while nobody listened, or be told now.
    if (actual(id) === S.RUNNING) agent.exit(id, 7);
    await until(() => statuses.get(id)?.state === S.EXITED);
    expect(statuses.get(id)).toMatchObject({ exitCode: 7 });
    await remove(id);
  });
});

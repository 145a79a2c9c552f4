import { randomBytes } from 'node:crypto';
import { volumeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestCluster, type TestCluster, until } from './testing/index.ts';

let cluster: TestCluster;
let impatient: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({ agents: 2 });
  impatient = await startTestCluster({ agents: 1, restoreWaitMs: 50 });
});
afterAll(async () => {
  await cluster?.stop();
  await impatient?.stop();
});

type Start = Parameters<typeof volumeV1.RestoreVolumeStart.fromPartial>[0];
type LastWord = NonNullable<volumeV1.RestoreVolumeRequest['message']>;

const newId = (): string => randomBytes(16).toString('hex');
const COMMIT: LastWord = { $case: 'commit', value: { labels: { a: 'b' } } };
const DISCARD: LastWord = { $case: 'discard', value: {} };

/** A call for a restore; it says nothing more until it is told to. */
function call(start: Start, on = cluster) {
  let say: (message: LastWord | undefined) => void = () => undefined;
  const last = new Promise<LastWord | undefined>((resolve) => {
    say = resolve;
  });
  const life = new AbortController();
  const requests = async function* (): AsyncGenerator<volumeV1.RestoreVolumeRequest> {
    yield { message: { $case: 'start', value: volumeV1.RestoreVolumeStart.fromPartial(start) } };
    const message = await last;
    if (message) yield { message };
  };
  const answers = on.leader.volumes.restoreVolume(requests(), { signal: life.signal })[Symbol.asyncIterator]();
  return {
    next: async () => (await answers.next()).value?.volume as volumeV1.VolumeRecord | undefined,
    say,
    /** As when the gateway dies. */
    cut: async () => {
      life.abort(new Error('cut'));
      await answers.next().catch(() => undefined);
    },
  };
}

const remove = (name: string, on = cluster) => on.leader.volumes.removeVolume({ name, force: false });
const create = (name: string, on = cluster) =>
  on.leader.volumes.createVolume({ volume: volumeV1.VolumeRecord.fromPartial({ name }) });

describe('a restore that has an id and whose call was cut', () => {
  test.each([
    ['is gone', (one: ReturnType<typeof call>) => one.cut()],
    ['ends without a last word', async (one: ReturnType<typeof call>) => one.say(undefined)],
  ])('is joined by the next one when the first %s, and committed', async (how, end) => {
    const name = `joined-${how.length}`;
    const restoreId = newId();
    const one = call({ name, node: 'h2', restoreId });
    const begun = await one.next();
    expect(begun).toMatchObject({ operation: { id: restoreId } });
    await end(one);
    await expect(create(name)).rejects.toMatchObject({ reason: 'conflict', message: /being made/ });
    await expect(remove(name)).rejects.toMatchObject({ reason: 'conflict', message: /being made/ });
    await expect(call({ name, restoreId: newId() }).next()).rejects.toMatchObject({ reason: 'conflict' });
    await expect(call({ name, restoreId }).next()).rejects.toMatchObject({ reason: 'conflict' });
    const two = call({ name, restoreId, resume: true });
    expect(await two.next()).toMatchObject({ nodeId: begun?.nodeId, operation: { id: restoreId } });
    two.say(COMMIT);
    expect(await two.next()).toMatchObject({ name, labels: { a: 'b' }, operation: undefined });
    // Whoever did not hear of the commit asks again.
    const three = call({ name, restoreId, resume: true });
    expect(await three.next()).toMatchObject({ name, operation: undefined });
    await remove(name);
  });

  test('is joined by another one while the first has not been missed yet; the last word of either counts', async () => {
    const restoreId = newId();
    const one = call({ name: 'both', restoreId });
    await one.next();
    const two = call({ name: 'both', restoreId, resume: true });
    await two.next();
    await one.cut();
    two.say(COMMIT);
    expect(await two.next()).toMatchObject({ name: 'both', operation: undefined });
    await remove('both');
  });

  test('is discarded at once by whoever says so; calls that carry it end', async () => {
    const restoreId = newId();
    const one = call({ name: 'dropped', restoreId });
    await one.next();
    const two = call({ name: 'dropped', restoreId, resume: true });
    await two.next();
    two.say(DISCARD);
    expect(await two.next()).toBeUndefined();
    await expect(one.next()).rejects.toMatchObject({ reason: 'cancelled' });
    await expect(call({ name: 'dropped', restoreId, resume: true }).next()).rejects.toMatchObject({
      reason: 'not-found',
    });
    await create('dropped');
    await remove('dropped');
  });

  test('is discarded when nobody joins it for a while; the name is free then', async () => {
    const restoreId = newId();
    const one = call({ name: 'late', restoreId }, impatient);
    await one.next();
    await one.cut();
    await until(async () => (await create('late', impatient).catch(() => undefined)) !== undefined);
    await expect(call({ name: 'late', restoreId, resume: true }, impatient).next()).rejects.toMatchObject({
      reason: 'not-found',
    });
    await remove('late', impatient);
  });

  test.each<[string, Start, string]>([
    ['another id', { name: 'kept', restoreId: newId(), resume: true }, 'not-found'],
    ['no id', { name: 'kept', resume: true }, 'not-found'],
    ['another name', { name: 'other', restoreId: 'ID', resume: true }, 'not-found'],
    ['its id for another name', { name: 'other', restoreId: 'ID' }, 'conflict'],
    ['an id that is none', { name: 'other', restoreId: '../x' }, 'invalid-argument'],
  ])('is not disturbed by a call with %s', async (_name, start, reason) => {
    const restoreId = newId();
    const one = call({ name: 'kept', restoreId });
    await one.next();
    await one.cut();
    const asked = start?.restoreId === 'ID' ? { ...start, restoreId } : start;
    await expect(call(asked).next()).rejects.toMatchObject({ reason });
    const two = call({ name: 'kept', restoreId, resume: true });
    await two.next();
    two.say(DISCARD);
    expect(await two.next()).toBeUndefined();
  });

  test('a restore without an id ends with its call', async () => {
    const one = call({ name: 'short' });
    const begun = await one.next();
    await one.cut();
    await until(async () => (await create('short').catch(() => undefined)) !== undefined);
    const restoreId = begun?.operation?.id ?? '';
    await expect(call({ name: 'short', restoreId, resume: true }).next()).rejects.toMatchObject({
      reason: 'not-found',
    });
    await remove('short');
  });
});

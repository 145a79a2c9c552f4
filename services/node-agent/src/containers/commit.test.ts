import { gunzipSync } from 'node:zlib';
import { unavailable } from '@atoll/errors';
import { containerV1, nodeV1, type runtimeV1 } from '@atoll/proto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { TestHost } from '../testing/test-host.ts';

const S = containerV1.ContainerState;

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
});
afterAll(async () => {
  await host?.dispose();
});
beforeEach(() => {
  host.registry.beforeWrite = async () => undefined;
});

const commit = (id: string, pause = true): Promise<runtimeV1.CommitLayerResponse> =>
  host.runtime.commitLayer({ containerId: id, pause }, { timeoutMs: 60_000 });

/** Names of the members, whose headers begin with them and carry "ustar" at a fixed place. */
function members(layer: containerV1.Layer | undefined): string[] {
  const tar = gunzipSync(host.registry.blobs.get(layer?.digest ?? '') ?? Buffer.alloc(0));
  const names: string[] = [];
  for (let at = 0; at < tar.length; at += 512) {
    if (tar.toString('latin1', at + 257, at + 262) !== 'ustar') continue;
    names.push(tar.toString('utf8', at, tar.indexOf(0, at)));
  }
  return names;
}

async function running(script: string): Promise<containerV1.ContainerRecord> {
  const record = host.record(['sh', '-c', script]);
  await host.ensure(record);
  await host.start(record);
  return record;
}

/** The store takes no blob before the function it gives is called; resolves when one is offered. */
function holdWrites(): { readonly offered: Promise<void>; readonly go: (error?: Error) => void } {
  let go: (error?: Error) => void = () => undefined;
  let offer = (): void => undefined;
  const offered = new Promise<void>((resolve) => {
    offer = resolve;
  });
  const held = new Promise<void>((resolve, reject) => {
    go = (error) => (error ? reject(error) : resolve());
  });
  held.catch(() => undefined);
  host.registry.beforeWrite = () => {
    offer();
    return held;
  };
  return { offered, go };
}

const stateOf = async (id: string): Promise<containerV1.ContainerState | undefined> =>
  (await host.runtime.getStatus({ containerId: id })).status?.state;

describe('the layer of a container', { timeout: 120_000 }, () => {
  test('that has ended: what it wrote and what it took away', async () => {
    const record = host.record(['sh', '-c', 'echo new >/made; rm /bin/busybox']);
    await host.run(record);
    const { layer } = await commit(record.id);
    expect(members(layer)).toEqual(expect.arrayContaining(['made', 'bin/.wh.busybox']));
    expect(layer?.size).toBe(BigInt(host.registry.blobs.get(layer?.digest ?? '')?.length ?? 0));
    await host.remove(record);
  });

  test('that was never started: none', async () => {
    const record = host.record(['true']);
    await host.ensure(record);
    expect((await commit(record.id)).layer).toBeUndefined();
    await host.remove(record);
  });

  test.each([
    ['paused while it is read, then going on', true, [S.PAUSED, S.RUNNING]],
    ['not paused when not asked for', false, []],
  ])('that runs: %s', async (_name, pause, want) => {
    const record = await running('echo new >/made; sleep 1000');
    await expect.poll(async () => members((await commit(record.id, false)).layer)).toContain('made');
    const before = host.scheduler.statuses.length;
    const { layer, status } = await commit(record.id, pause);
    expect([members(layer).includes('made'), status?.state]).toEqual([true, S.RUNNING]);
    await expect.poll(() => stateOf(record.id)).toBe(S.RUNNING);
    const seen = () => host.scheduler.statuses.slice(before).filter(({ id }) => id === record.id);
    await expect.poll(() => seen().map(({ state }) => state)).toEqual(want);
    await host.remove(record);
  });
});

describe('the pause of a commit ends', { timeout: 120_000 }, () => {
  test('when the store refuses the layer', async () => {
    const record = await running('echo new >/made; sleep 1000');
    await expect.poll(async () => members((await commit(record.id, false)).layer)).toContain('made');
    host.registry.beforeWrite = () => Promise.reject(unavailable('the disk of the store is full'));
    await expect(commit(record.id)).rejects.toThrow('the disk of the store is full');
    expect(await stateOf(record.id)).toBe(S.RUNNING);
    await host.remove(record);
  });

  test('when the caller gives up', async () => {
    const record = await running('echo new >/made; sleep 1000');
    await expect.poll(async () => members((await commit(record.id, false)).layer)).toContain('made');
    const { offered, go } = holdWrites();
    const gone = new AbortController();
    const call = host.runtime.commitLayer({ containerId: record.id, pause: true }, { signal: gone.signal });
    call.catch(() => undefined);
    await offered;
    expect(await stateOf(record.id)).toBe(S.PAUSED);
    gone.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    await expect.poll(() => stateOf(record.id)).toBe(S.RUNNING);
    go();
    await host.remove(record);
  });

  test('when the agent is killed meanwhile', async () => {
    const record = await running('echo new >/made; sleep 1000');
    await expect.poll(async () => members((await commit(record.id, false)).layer)).toContain('made');
    const { offered, go } = holdWrites();
    const call = commit(record.id);
    call.catch(() => undefined);
    await offered;
    await host.killAgent();
    go();
    await expect(call).rejects.toThrow();
    await host.startAgent();
    await expect.poll(() => stateOf(record.id)).toBe(S.RUNNING);
    await host.remove(record);
  });

  test('with the last of several', async () => {
    const record = await running('echo new >/made; sleep 1000');
    await expect.poll(async () => members((await commit(record.id, false)).layer)).toContain('made');
    const { offered, go } = holdWrites();
    const first = commit(record.id);
    await offered;
    host.registry.beforeWrite = async () => undefined;
    await commit(record.id);
    expect(await stateOf(record.id)).toBe(S.PAUSED);
    go();
    await first;
    expect(await stateOf(record.id)).toBe(S.RUNNING);
    await host.remove(record);
  });

  test('but not one a user asked for', async () => {
    const record = await running('echo new >/made; sleep 1000');
    await host.scheduler.order({ action: nodeV1.Action.PAUSE, record });
    await commit(record.id);
    expect(await stateOf(record.id)).toBe(S.PAUSED);
    await host.remove(record);
  });
});

test('a container that is removed meanwhile gives no layer', { timeout: 120_000 }, async () => {
  const record = await running('echo new >/made; sleep 1000');
  await expect.poll(async () => members((await commit(record.id, false)).layer)).toContain('made');
  const { offered, go } = holdWrites();
  const call = commit(record.id);
  call.catch(() => undefined);
  await offered;
  await host.remove(record);
  await expect(call).rejects.toThrow('is being removed');
  go();
});

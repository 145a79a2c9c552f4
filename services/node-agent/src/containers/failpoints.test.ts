import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildV1, containerV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAILPOINTS, type Failpoint } from '../processes/failpoint.ts';
import { TestHost } from '../testing/test-host.ts';
import { testLayer } from '../testing/test-image.ts';

const S = containerV1.ContainerState;
const A = nodeV1.Action;

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
});
afterAll(async () => {
  await host?.dispose();
});

const at = (operation: string): Failpoint[] => FAILPOINTS.filter((name) => name.startsWith(`${operation}.`));

/** The agent begins anew and is killed at the failpoint, while the operation is under way; then the next agent comes. */
async function crashAt(name: Failpoint, operation: () => Promise<unknown>): Promise<void> {
  await host.killAgent('SIGTERM');
  await host.startAgent(name);
  // What the operation is answered depends on when its connection ends.
  const outcome = operation().catch((error: unknown) => error);
  await host.crashed(AbortSignal.timeout(20_000));
  expect(host.agent?.signalCode).toBe('SIGKILL');
  await host.startAgent();
  await outcome;
}

/** What the leader does with each new session: it says again what it wants, and starts what has not run. */
async function runsOnce(record: containerV1.ContainerRecord, code: number): Promise<void> {
  const { state } = await host.ensure(record);
  if (state !== S.RUNNING && state !== S.EXITED) await host.start(record);
  const status = await host.scheduler.status(
    ({ id, state, finishedAtNs }) => id === record.id && state === S.EXITED && finishedAtNs !== 0n,
  );
  expect(status).toMatchObject({ exitCode: code, error: '' });
  expect(await host.logs(record.id)).toBe('ran\n');
  await goes(record);
}

/** Removed, and nothing of it is left on this host. */
async function goes(record: containerV1.ContainerRecord): Promise<void> {
  await host.remove(record);
  await expect.poll(() => host.leaks(), { timeout: 10_000 }).toEqual([]);
}

/** A layer that this host has not yet. */
const mark = (name: string): Promise<containerV1.Layer> =>
  testLayer(host.registry, (folder) => writeFile(join(folder, 'mark'), name));

const short = () => host.record(['sh', '-c', 'echo ran; exit 7']);

describe('an agent killed while it works', { timeout: 60_000 }, () => {
  test.each(at('pull'))('%s: the image is there or is fetched again', async (name) => {
    const image = { reference: 'fresh', layers: [host.layer, await mark(name)] };
    const record = host.record(['sh', '-c', 'echo ran; exit 7'], { image });
    await crashAt(name, () => host.ensure(record));
    await runsOnce(record, 7);
  });

  test.each(at('create'))('%s: it is created once', async (name) => {
    const record = short();
    await crashAt(name, () => host.ensure(record));
    await runsOnce(record, 7);
  });

  test.each(at('start'))('%s: it runs, at most once for a start', async (name) => {
    const record = host.record(['sh', '-c', 'echo ran; sleep 1; exit 7']);
    await host.ensure(record);
    await crashAt(name, () => host.start(record));
    await runsOnce(record, 7);
  });

  test.each(at('end'))('%s: its exit code is known', async (name) => {
    const record = host.record(['sh', '-c', 'echo ran; sleep 0.3; exit 7']);
    await crashAt(name, async () => {
      await host.ensure(record);
      await host.start(record);
    });
    const told = host.scheduler.hello?.containers.find(({ id }) => id === record.id);
    expect(told).toMatchObject({ state: S.EXITED, exitCode: 7, error: '' });
    expect(told?.finishedAtNs).toBeGreaterThan(told?.startedAtNs ?? 0n);
    expect(await host.logs(record.id)).toBe('ran\n');
    await goes(record);
  });

  test.each(at('stop'))('%s: it stays stopped', async (name) => {
    const policy = { restartPolicy: { name: 'always' } };
    const record = host.record(['sh', '-c', 'trap "exit 3" TERM; echo ran; while :; do sleep 0.05; done'], policy);
    const stopped = { ...record, desired: containerV1.DesiredState.STOPPED, generation: 3n };
    const stop = () => host.scheduler.order({ action: A.STOP, record: stopped, timeoutSeconds: 5n });
    await crashAt(name, async () => {
      await host.ensure(record);
      await host.start(record);
      await host.scheduler.state(record.id, S.RUNNING);
      await stop();
    });
    await stop();
    const status = await host.ensure(stopped);
    expect(status).toMatchObject({ state: S.EXITED, exitCode: 3 });
    await goes(stopped);
  });

  test.each(at('remove'))('%s: it goes', async (name) => {
    const record = host.record(['sleep', '600']);
    await crashAt(name, async () => {
      await host.ensure(record);
      await host.start(record);
      await host.remove(record);
    });
    await goes(record);
  });

  test.each(at('commit'))('%s: the next build makes the layer', async (name) => {
    const request = buildV1.RunStepRequest.fromPartial({
      base: { layers: [host.layer] },
      argv: ['sh', '-c', `echo ${name} >/made`],
      env: ['PATH=/bin'],
      networkMode: 'none',
    });
    const builder = await host.pki.identity('image-builder', 'builder-1');
    const build = async (): Promise<buildV1.StepResult | undefined> => {
      let result: buildV1.StepResult | undefined;
      const channel = host.channelOf(builder);
      try {
        const answers = channel.client(buildV1.BuildStepServiceService).runStep(request);
        for await (const { message } of answers) if (message?.$case === 'result') result = message.value;
      } finally {
        channel.close();
      }
      return result;
    };
    await crashAt(name, build);
    await expect.poll(() => host.leaks(), { timeout: 10_000 }).toEqual([]);
    const layer = (await build())?.layer;
    const record = host.record(['cat', '/made'], { image: { layers: [host.layer, layer as containerV1.Layer] } });
    expect((await host.run(record)).output).toBe(`${name}\n`);
    await goes(record);
  });
});

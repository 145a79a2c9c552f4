import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { containerV1, nodeV1, runtimeV1 } from '@atoll/proto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { buildFailpointShim } from '../runtime/testing/shim-binary.ts';
import { TestHost } from '../testing/test-host.ts';

const S = containerV1.ContainerState;
const A = nodeV1.Action;

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
  host.shim = buildFailpointShim();
});
afterAll(async () => {
  await host?.dispose();
});

/** What a test that failed has left is not the next one's. */
afterEach(async () => {
  for (const { id } of host.scheduler.hello?.containers ?? []) {
    await host.remove(containerV1.ContainerRecord.fromPartial({ id, nodeId: host.nodeId })).catch(() => undefined);
  }
});

const file = () => join(host.dataRoot, 'spawner/failpoint');

/** 64 bytes: the name, zeros, and at last whether it has happened. */
async function arm(name: string): Promise<void> {
  await host.killAgent();
  await mkdir(join(host.dataRoot, 'spawner'), { recursive: true, mode: 0o700 });
  await writeFile(file(), Buffer.concat([Buffer.from(name), Buffer.alloc(64 - name.length)]));
  await host.startAgent();
}
const fired = async (): Promise<boolean> => (await readFile(file())).at(63) === 1;

/** The step is reached by the operation, and a process of the shim killed there; then the agent, too, and the next one comes. */
async function crashAt(name: string, operation: () => Promise<unknown>): Promise<void> {
  await arm(name);
  const outcome = operation().catch((error: unknown) => error);
  await expect.poll(fired, { timeout: 20_000 }).toBe(true);
  await outcome;
  await host.killAgent();
  await host.startAgent();
}

const bridged = (script: string, more = {}) =>
  host.record(['sh', '-c', script], {
    network: { mode: 'bridge', ports: [{ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 18_777 }] },
    ...more,
  });

async function run(record: containerV1.ContainerRecord): Promise<void> {
  await host.ensure(record);
  await host.start(record);
}
const ended = (record: containerV1.ContainerRecord) =>
  host.scheduler.status(({ id, state, finishedAtNs }) => id === record.id && state === S.EXITED && finishedAtNs !== 0n);
const told = (record: containerV1.ContainerRecord) =>
  host.scheduler.hello?.containers.find(({ id }) => id === record.id);

/** Removed, and nothing of it is left on this host. */
async function goes(record: containerV1.ContainerRecord): Promise<void> {
  await host.remove(record);
  await expect.poll(() => host.leaks(), { timeout: 10_000 }).toEqual([]);
}

/** Nothing of it stays, and it can be run from the beginning. */
async function runsAfterwards(record: containerV1.ContainerRecord): Promise<void> {
  const { state } = await host.ensure(record);
  if (state !== S.RUNNING) await host.start({ ...record, generation: 5n });
  const status = await host.scheduler.status(
    ({ id, state: now, exitCode }) => id === record.id && now === S.EXITED && exitCode === 7,
  );
  expect(status.error).toBe('');
  expect(await host.logs(record.id)).toMatch(/^(ran\n)+$/);
  await goes(record);
}

describe('F41: the shim killed while it works', { timeout: 60_000 }, () => {
  test.each([
    'spawner.1-accepted',
    'run.1-locked',
    'run.2-planned',
    'run.3-grouped',
    'run.4-cloned',
    'run.5-linked',
    'run.6-ready',
    'run.7-noted',
    'run.8-told',
    'init.1-begun',
    'init.2-rooted',
    'init.3-become',
  ])('%s: what was half made is taken down, and made again', async (name) => {
    const record = bridged('echo ran; sleep 0.2; exit 7');
    await crashAt(name, () => run(record));
    await runsAfterwards(record);
  });

  test('start.1-asked: it has not begun, and can be started', async () => {
    const record = bridged('echo ran; sleep 0.5; exit 7');
    await crashAt('start.1-asked', () => run(record));
    expect([S.CREATING, S.CREATED]).toContain(told(record)?.state);
    await runsAfterwards(record);
  });

  test.each(['start.2-released', 'start.3-running', 'start.4-told', 'init.4-released'])(
    '%s: it may have run, so it has ended, and is not run again by itself',
    async (name) => {
      const record = bridged('echo ran; sleep 0.5; exit 7');
      await crashAt(name, () => run(record));
      // Of `init` the supervisor is still there to see how it ended.
      const error = name === 'init.4-released' ? '' : expect.stringContaining('supervisor');
      expect(told(record)).toMatchObject({ state: S.EXITED, exitCode: 137, error });
      await runsAfterwards(record);
    },
  );

  test.each([
    // Nobody else has collected the process: it counts as killed, as everything a supervisor takes along.
    ['end.1-collected', 137],
    ['end.2-drained', 137],
    ['end.3-written', 7],
    ['end.4-told', 7],
    ['end.5-taken-down', 7],
  ])('%s: its exit code is %i, once and for all', async (name, code) => {
    const record = bridged('echo ran; sleep 0.2; exit 7');
    await crashAt(name, async () => {
      await run(record);
      await ended(record);
    });
    expect(told(record)).toMatchObject({
      state: S.EXITED,
      exitCode: code,
      error: code === 7 ? '' : expect.stringContaining('supervisor'),
    });
    // All it wrote is in the log before its end is known anywhere.
    expect(await host.logs(record.id)).toBe('ran\n');
    await runsAfterwards(record);
  });

  test.each(['end.1-collected', 'end.3-written', 'end.5-taken-down'])(
    '%s under a policy: it is started again',
    async (name) => {
      const record = bridged('echo ran; sleep 0.2; exit 7', { restartPolicy: { name: 'always' } });
      await crashAt(name, () => run(record));
      await host.scheduler.status(
        ({ id, state, restartCount }) => id === record.id && state === S.RUNNING && restartCount > 0,
      );
      await host.scheduler.order({
        action: A.STOP,
        record: { ...record, desired: containerV1.DesiredState.STOPPED, generation: 9n },
        timeoutSeconds: 0n,
      });
      await goes(record);
    },
  );

  test.each(['exec.1-planned', 'exec.2-cloned', 'exec.3-running', 'exec.4-collected', 'exec.5-drained', 'exec.6-told'])(
    '%s: the container goes on, the exec has ended',
    async (name) => {
      const record = bridged('sleep 600');
      await run(record);
      const { pid } = (await host.runtime.getStatus({ containerId: record.id })).status ?? {};
      const spec = { argv: ['sh', '-c', 'echo in; exit 3'], attachStdout: true };
      let execId = '';
      await crashAt(name, async () => {
        ({ execId } = await host.runtime.createExec(
          runtimeV1.CreateExecRequest.fromPartial({ containerId: record.id, spec }),
        ));
        const start = { message: { $case: 'start' as const, value: { execId } } };
        const requests = async function* () {
          yield runtimeV1.StartExecRequest.fromPartial(start);
        };
        for await (const _ of host.runtime.startExec(requests()));
      });
      expect(told(record)).toMatchObject({ state: S.RUNNING, pid });
      const known = await host.runtime.inspectExec({ execId }).catch((error: unknown) => error);
      // Its code, or that it is not known: never that it runs.
      expect(known).not.toMatchObject({ running: true });
      await goes(record);
    },
  );

  test.each(['remove.1-begun', 'remove.2-lifted', 'remove.3-gone'])('%s: it goes', async (name) => {
    const record = bridged('sleep 600');
    await crashAt(name, async () => {
      await run(record);
      await host.remove(record);
    });
    await goes(record);
  });
});

import { containerV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestHost } from '../testing/test-host.ts';

const S = containerV1.ContainerState;
const A = nodeV1.Action;

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
});
afterAll(async () => {
  await host?.dispose();
});

describe('a container from create to remove', { timeout: 120_000 }, () => {
  test('runs its program, keeps its output, and leaves nothing behind', async () => {
    const record = host.record(['sh', '-c', 'echo out; echo err >&2; exit 3']);
    const { status, output } = await host.run(record);
    expect(status).toMatchObject({ exitCode: 3, pid: 0, oomKilled: false, generation: 2n });
    expect(status.finishedAtNs).toBeGreaterThan(status.startedAtNs);
    expect(output.split('\n').sort()).toEqual(['', 'err', 'out']);
    const last = await host.remove(record);
    expect(last.state).toBe(S.REMOVED);
    expect(last.seq).toBeGreaterThan(status.seq);
    await expect.poll(() => host.leaks()).toEqual([]);
  });

  test('an order to remove what is not there is done already', async () => {
    const result = await host.scheduler.tryOrder({ action: A.REMOVE, record: host.record(['true']) });
    expect(result).toMatchObject({ code: 0, unchanged: true, status: { state: S.REMOVED } });
  });

  test('the same layer is fetched once for many', async () => {
    const records = Array.from({ length: 4 }, () => host.record(['true']));
    await Promise.all(records.map((record) => host.run(record)));
    expect(host.registry.reads.get(host.layer.digest)).toBe(1);
    await Promise.all(records.map((record) => host.remove(record)));
  });

  test('starts again after it has ended, with its files', async () => {
    const record = host.record(['sh', '-c', 'echo x >>/count; wc -l </count']);
    await host.run(record);
    await host.start(record);
    await host.scheduler.status(({ id, seq, state }) => id === record.id && state === S.EXITED && seq > 5n);
    expect(await host.logs(record.id)).toBe('1\n2\n');
    await host.remove(record);
  });
});

describe('starts that fail', { timeout: 120_000 }, () => {
  test.each([
    ['no such program', ['nothing-here'], 127, 'exec: "nothing-here": executable file not found in $PATH'],
    ['no such path', ['/nothing/here'], 127, 'no such file or directory'],
    ['not a program', ['/etc/noexec'], 126, 'permission denied'],
  ])('%s', async (_name, argv, exitCode, words) => {
    const record = host.record(argv);
    await host.ensure(record);
    const result = await host.scheduler.tryOrder({ action: A.START, record });
    expect(result.code).toBe(3);
    expect(result.message).toContain(words);
    expect(result.message).toContain('OCI runtime create failed');
    expect(result.status).toMatchObject({ state: S.CREATED, exitCode, pid: 0 });
    await host.remove(record);
  });

  test('a layer whose bytes are damaged is not used', async () => {
    const record = host.record(['true']);
    const layer = { ...host.layer, diffId: `sha256:${'0'.repeat(64)}` };
    const spec = { ...record.spec, image: { reference: 'x', layers: [layer] } };
    const broken = containerV1.ContainerRecord.fromPartial({ ...record, spec });
    await host.ensure(broken);
    const result = await host.scheduler.tryOrder({ action: A.START, record: broken });
    expect(result).toMatchObject({ code: 15, reason: 'data-loss' });
    await host.remove(broken);
  });

  test('less memory than any program needs', async () => {
    const record = host.record(['true'], { resources: { memory: 1n } });
    await host.ensure(record);
    const result = await host.scheduler.tryOrder({ action: A.START, record });
    expect(result.message).toBe('Minimum memory limit allowed is 6MB');
    await host.remove(record);
  });

  test('what the runtime does not do is named', async () => {
    const record = host.record(['true'], { runtime: 'runsc' });
    await host.ensure(record);
    const result = await host.scheduler.tryOrder({ action: A.START, record });
    expect(result).toMatchObject({ code: 3, message: 'unknown or invalid runtime name: runsc' });
    await host.remove(record);
  });
});

describe('stops and kills', { timeout: 120_000 }, () => {
  const trap = ['sh', '-c', 'trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done'];

  async function ready(record: containerV1.ContainerRecord): Promise<void> {
    await host.ensure(record);
    await host.start(record);
    const request = {
      containerId: record.id,
      stdout: true,
      stderr: true,
      tail: -1n,
      sinceNs: 0n,
      untilNs: 0n,
      follow: true,
      timestamps: false,
    };
    for await (const { data } of host.runtime.logs(request)) if (data.includes('ready')) break;
  }

  test.each([
    ['by its own will', {}, trap, 9],
    [
      'by force after the time is up',
      { timeoutSeconds: 0n },
      ['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done'],
      137,
    ],
    [
      'by the signal given',
      { signal: 'SIGINT' },
      ['sh', '-c', 'trap "exit 8" INT; echo ready; while :; do sleep 0.05; done'],
      8,
    ],
  ])('stop: %s', async (_name, order, argv, exitCode) => {
    const record = host.record(argv);
    await ready(record);
    const status = await host.scheduler.order({ action: A.STOP, record, ...order });
    expect(status).toMatchObject({ state: S.EXITED, exitCode });
    const again = await host.scheduler.tryOrder({ action: A.STOP, record });
    expect(again).toMatchObject({ code: 0, unchanged: true });
    await host.remove(record);
  });

  test('a kill overtakes a stop that waits', async () => {
    const record = host.record(['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done']);
    await ready(record);
    const stopping = host.scheduler.order({ action: A.STOP, record, timeoutSeconds: 1000n });
    await host.scheduler.order({ action: A.KILL, record });
    expect(await stopping).toMatchObject({ state: S.EXITED, exitCode: 137 });
    await host.remove(record);
  });

  test('what does not run cannot be killed', async () => {
    const record = host.record(['true']);
    await host.run(record);
    const result = await host.scheduler.tryOrder({ action: A.KILL, record });
    expect(result).toMatchObject({
      code: 10,
      message: `cannot kill container: ${record.id}: container ${record.id} is not running`,
    });
    await host.remove(record);
  });

  test('running containers are removed only by force', async () => {
    const record = host.record(trap);
    await ready(record);
    const result = await host.scheduler.tryOrder({ action: A.REMOVE, record });
    expect(result).toMatchObject({ code: 10, message: expect.stringContaining('stop the container before removing') });
    expect((await host.remove(record)).state).toBe(S.REMOVED);
  });

  test('paused and resumed', async () => {
    const record = host.record(trap);
    await ready(record);
    expect(await host.scheduler.order({ action: A.PAUSE, record })).toMatchObject({ state: S.PAUSED });
    await expect(host.runtime.createExec({ containerId: record.id, spec: undefined })).rejects.toThrow(
      `container ${record.id} is paused, unpause the container before exec`,
    );
    expect(await host.scheduler.order({ action: A.UNPAUSE, record })).toMatchObject({ state: S.RUNNING });
    await host.scheduler.order({ action: A.PAUSE, record });
    expect(await host.scheduler.order({ action: A.STOP, record })).toMatchObject({ state: S.EXITED, exitCode: 9 });
    await host.remove(record);
  });

  test('restarted: the process is another, the policy is not asked', async () => {
    const record = host.record(trap);
    await ready(record);
    const before = await host.scheduler.state(record.id, S.RUNNING);
    const running = { ...record, desired: containerV1.DesiredState.RUNNING };
    const after = await host.scheduler.order({ action: A.RESTART, record: running });
    expect(after).toMatchObject({ state: S.RUNNING, restartCount: 0 });
    expect(after.pid).not.toBe(before.pid);
    await host.remove(record);
  });
});

describe('restart policies', { timeout: 120_000 }, () => {
  test('on-failure gives up after its count', async () => {
    const record = host.record(['false'], { restartPolicy: { name: 'on-failure', maximumRetryCount: 2 } });
    await host.ensure(record);
    await host.start(record);
    const status = await host.scheduler.state(record.id, S.EXITED);
    expect(status).toMatchObject({ exitCode: 1, restartCount: 2 });
    await host.remove(record);
  });

  test('a user who stops it has the last word', async () => {
    const record = host.record(['sh', '-c', 'exit 1'], { restartPolicy: { name: 'unless-stopped' } });
    await host.ensure(record);
    await host.start(record);
    await host.scheduler.status(({ id, restartCount }) => id === record.id && restartCount > 0);
    await host.scheduler.order({ action: A.STOP, record });
    expect((await host.runtime.getStatus({ containerId: record.id })).status?.state).toBe(S.EXITED);
    await host.remove(record);
  });
});

describe('the fence', { timeout: 120_000 }, () => {
  test('orders of a leader that is over, or for another node, are refused', async () => {
    const record = host.record(['true']);
    const old = await host.scheduler.tryOrder({ action: A.ENSURE, record, epoch: 0n });
    expect(old).toMatchObject({ code: 9, message: expect.stringContaining('epoch 0 is over') });
    const stray = await host.scheduler.tryOrder({ action: A.ENSURE, record: { ...record, nodeId: 'node-2' } });
    expect(stray).toMatchObject({ code: 7 });
    await expect(host.runtime.getStatus({ containerId: record.id })).rejects.toThrow('No such container');
  });
});

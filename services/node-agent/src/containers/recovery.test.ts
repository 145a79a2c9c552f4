import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
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

const counting = ['sh', '-c', 'i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done'];

async function started(record: containerV1.ContainerRecord): Promise<containerV1.ContainerStatus> {
  await host.ensure(record);
  return await host.start(record);
}

function hello(id: string): containerV1.ContainerStatus | undefined {
  return host.scheduler.hello?.containers.find((status) => status.id === id);
}

describe('an agent killed by kill -9', { timeout: 120_000 }, () => {
  test('leaves containers alone and finds them again', async () => {
    const records = Array.from({ length: 5 }, () => host.record(counting));
    const before = await Promise.all(records.map(started));
    await host.killAgent();
    for (const { pid } of before) expect(await readFile(`/proc/${pid}/stat`, 'utf8')).toContain(' ');
    await host.startAgent();
    for (const { id, pid, seq } of before) {
      expect(hello(id)).toMatchObject({ state: S.RUNNING, pid });
      expect(hello(id)?.seq).toBeGreaterThanOrEqual(seq);
    }
    const [first] = records as [containerV1.ContainerRecord];
    const lines = (await host.logs(first.id)).trim().split('\n').map(Number);
    expect(lines).toEqual(lines.map((_, index) => index));
    const stopped = await host.scheduler.order({ action: A.STOP, record: first, timeoutSeconds: 0n });
    expect(stopped).toMatchObject({ state: S.EXITED, exitCode: 137 });
    await Promise.all(records.map((record) => host.remove(record)));
  });

  test('learns how containers ended meanwhile', async () => {
    const record = host.record(['sh', '-c', 'sleep 0.5; echo bye; exit 42']);
    const { startedAtNs } = await started(record);
    await host.killAgent();
    await new Promise((resolve) => setTimeout(resolve, 700));
    await host.startAgent();
    const status = hello(record.id);
    expect(status).toMatchObject({ state: S.EXITED, exitCode: 42, startedAtNs, error: '' });
    expect(await host.logs(record.id)).toBe('bye\n');
    await host.remove(record);
  });

  test('starts by policy what ended meanwhile', async () => {
    const record = host.record(['sh', '-c', 'sleep 0.3; exit 1'], { restartPolicy: { name: 'always' } });
    await started(record);
    await host.killAgent();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await host.startAgent();
    await host.scheduler.status(
      ({ id, state, restartCount }) => id === record.id && state === S.RUNNING && restartCount > 0,
    );
    await host.remove(record);
  });

  test('prepares again what was half made', async () => {
    let release = (): void => undefined;
    host.registry.hold = new Promise((resolve) => {
      release = resolve;
    });
    const record = host.record(['echo', 'made'], { image: { layers: [await freshLayer()] } });
    await host.ensure(record);
    await host.killAgent();
    release();
    await host.startAgent();
    await host.start(record);
    await host.scheduler.state(record.id, S.EXITED);
    expect(await host.logs(record.id)).toBe('made\n');
    await host.remove(record);
  });

  test('keeps the files of a container whose record was torn, until it is told what it is', async () => {
    const record = host.record(['cat', '/kept']);
    await host.run({
      ...record,
      spec: containerV1.ContainerSpec.fromPartial({
        ...record.spec,
        process: { cmd: ['sh', '-c', 'echo kept >/kept'], env: ['PATH=/bin'] },
      }),
    });
    await host.killAgent();
    await writeFile(join(host.dataRoot, 'containers', record.id, 'record'), 'torn');
    await host.startAgent();
    expect(hello(record.id)).toMatchObject({ state: S.DEAD, error: expect.stringContaining('lost in a power cut') });
    await host.ensure(record);
    await host.start(record);
    await host.scheduler.status(
      ({ id, state, error, seq }) => id === record.id && state === S.EXITED && error === '' && seq > 6n,
    );
    expect(await host.logs(record.id)).toBe('kept\n');
    await host.remove(record);
  });
});

describe('a supervisor killed by kill -9', { timeout: 120_000 }, () => {
  test('takes its container along, and the host is clean', async () => {
    const record = host.record(counting, { network: { mode: 'bridge' } });
    await started(record);
    const [pid = ''] = (await readFile(join(host.dataRoot, 'containers', record.id, 'shim.pid'), 'utf8')).split(' ');
    process.kill(Number(pid), 'SIGKILL');
    const status = await host.scheduler.state(record.id, S.EXITED);
    expect(status).toMatchObject({ exitCode: 137, pid: 0, error: expect.stringContaining('supervisor') });
    expect((await host.leaks()).filter((leak) => leak.startsWith('link'))).toEqual([]);
    await host.start({ ...record, generation: 5n });
    await host.remove(record);
  });
});

describe('the control plane gone', { timeout: 120_000 }, () => {
  test('containers run on, and the session comes back by itself', async () => {
    const record = host.record(counting);
    const { pid } = await started(record);
    const before = host.scheduler.hellos;
    host.scheduler.drop();
    await host.scheduler.session();
    expect(host.scheduler.hellos).toBe(before + 1);
    expect(hello(record.id)).toMatchObject({ state: S.RUNNING, pid });
    await host.remove(record);
  });

  test('a leader of an older epoch is not obeyed, not even in a new session', async () => {
    host.scheduler.epoch = 7n;
    host.scheduler.drop();
    await host.scheduler.session();
    const record = host.record(['true']);
    await host.ensure(record);
    await host.killAgent();
    await host.startAgent();
    const result = await host.scheduler.tryOrder({ action: A.START, record, epoch: 6n });
    expect(result).toMatchObject({ code: 9, message: expect.stringContaining('epoch 6 is over') });
    await host.remove(record);
  });
});

async function freshLayer(): Promise<containerV1.Layer> {
  const { testLayer } = await import('../testing/test-image.ts');
  const { busyboxPath } = await import('../runtime/testing/shim-binary.ts');
  const { copyFile, mkdir, symlink } = await import('node:fs/promises');
  return await testLayer(host.registry, async (folder) => {
    await mkdir(join(folder, 'bin'));
    await copyFile(busyboxPath(), join(folder, 'bin/busybox'));
    for (const name of ['sh', 'echo']) await symlink('busybox', join(folder, 'bin', name));
  });
}

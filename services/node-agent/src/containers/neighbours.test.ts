import { containerV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestHost } from '../testing/test-host.ts';

const A = nodeV1.Action;

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
});
afterAll(async () => {
  await host?.dispose();
});

type Spec = Parameters<typeof containerV1.ContainerSpec.fromPartial>[0];

/** A container that runs until it is removed. */
async function donor(spec: Spec, script = 'sleep 600'): Promise<containerV1.ContainerRecord> {
  const record = host.record(['sh', '-c', script], spec);
  await host.ensure(record);
  await host.start(record);
  return record;
}

async function refusal(spec: Spec): Promise<string> {
  const record = host.record(['true'], spec);
  await host.ensure(record);
  const { code, message } = await host.scheduler.tryOrder({ action: A.START, record });
  expect(code).not.toBe(0);
  await host.remove(record);
  return message;
}

describe('namespaces of other containers', { timeout: 120_000 }, () => {
  test('processes, host name, network and shared memory', async () => {
    const other = await donor(
      { ipcMode: 'shareable', network: { mode: 'none', hostname: 'donor' } },
      'echo shared >/dev/shm/note; exec sleep 600',
    );
    const mode = `container:${other.id}`;
    const script = `until cat /dev/shm/note 2>/dev/null; do sleep 0.05; done
      hostname; cat /etc/hostname; cat /proc/1/cmdline | tr '\\0' ' '; echo; echo back >/dev/shm/answer`;
    const record = host.record(['sh', '-c', script], {
      ipcMode: mode,
      pidMode: mode,
      utsMode: mode,
      network: { mode, hostname: 'donor' },
    });
    const { output } = await host.run(record);
    expect(output).toBe('shared\ndonor\ndonor\nsleep 600 \n');
    await host.remove(record);
    const reader = host.record(['cat', '/dev/shm/answer'], { ipcMode: mode });
    expect((await host.run(reader)).output).toBe('back\n');
    await host.remove(reader);
    await host.remove(other);
  });

  test('they are those of the start, not of the time before', async () => {
    const other = await donor({ ipcMode: 'shareable' }, 'date +%N >/dev/shm/note; exec sleep 600');
    const record = host.record(['sh', '-c', 'until cat /dev/shm/note 2>/dev/null; do sleep 0.05; done'], {
      ipcMode: `container:${other.id}`,
    });
    await host.ensure(record);
    await host.scheduler.order({ action: A.RESTART, record: other, timeoutSeconds: 0n });
    const { output } = await host.run(record);
    const reader = host.record(['cat', '/dev/shm/note'], { ipcMode: `container:${other.id}` });
    expect((await host.run(reader)).output).toBe(output);
    for (const one of [record, reader, other]) await host.remove(one);
  });

  test('a container ends with the one whose processes it is among', async () => {
    const other = await donor({});
    const record = await donor({ pidMode: `container:${other.id}` });
    await host.remove(other);
    const status = await host.scheduler.status(
      ({ id, state }) => id === record.id && state === containerV1.ContainerState.EXITED,
    );
    expect(status.exitCode).toBe(137);
    await host.remove(record);
  });

  test('what does not run, is not there or is not shareable', async () => {
    const ended = host.record(['true'], { ipcMode: 'shareable' });
    await host.run(ended);
    const closed = await donor({});
    const ghost = 'f'.repeat(64);
    for (const [field, what] of [
      ['pidMode', 'PID namespace'],
      ['utsMode', 'UTS namespace'],
      ['ipcMode', 'IPC'],
    ] as const) {
      expect(await refusal({ [field]: `container:${ended.id}` })).toContain(
        `cannot join ${what} of container ${ended.id}: container ${ended.id} is not running`,
      );
      expect(await refusal({ [field]: `container:${ghost}` })).toContain(`No such container: ${ghost}`);
    }
    expect(await refusal({ network: { mode: `container:${ended.id}` } })).toContain('cannot join network of container');
    expect(await refusal({ ipcMode: `container:${closed.id}` })).toContain(
      'non-shareable IPC (hint: use IpcMode:shareable for the donor container)',
    );
    for (const one of [ended, closed]) await host.remove(one);
  });
});

test('what ended together while nobody looked comes back together', { timeout: 120_000 }, async () => {
  const restartPolicy = { name: 'always' };
  const other = await donor({ restartPolicy });
  const guests = await Promise.all(
    [1, 2, 3].map(() => donor({ restartPolicy, pidMode: `container:${other.id}`, ipcMode: 'private' })),
  );
  const { pid } = await host.scheduler.status(
    ({ id, state }) => id === other.id && state === containerV1.ContainerState.RUNNING,
  );
  await host.killAgent();
  process.kill(pid, 'SIGKILL');
  await host.startAgent();
  const all = [other, ...guests];
  await Promise.all(
    all.map((record) =>
      host.scheduler.status(
        ({ id, state, restartCount }) =>
          id === record.id && state === containerV1.ContainerState.RUNNING && restartCount > 0,
      ),
    ),
  );
  for (const record of all.reverse()) await host.remove(record);
});

describe('links', { timeout: 120_000 }, () => {
  test('are names and variables, also of execs', async () => {
    const db = await donor({
      name: 'db',
      process: { cmd: ['sleep', '600'], env: ['PASSWORD=x', 'PATH=/bin'] },
      network: { mode: 'default', hostname: 'db-host', exposedPorts: ['80/udp', '5432/tcp'] },
    });
    const links = [{ containerId: db.id, name: 'db', alias: 'my-store' }];
    const record = host.record(['sh', '-c', 'grep store /etc/hosts; env | grep ^MY_STORE | sort'], {
      name: 'web',
      links,
    });
    const { output } = await host.run(record);
    const [hosts = '', ...variables] = output.trimEnd().split('\n');
    const [ip = '', names] = hosts.split('\t');
    expect(names).toBe('my-store db-host db');
    expect(variables).toEqual([
      'MY_STORE_ENV_PASSWORD=x',
      'MY_STORE_NAME=/web/my-store',
      `MY_STORE_PORT=udp://${ip}:80`,
      `MY_STORE_PORT_5432_TCP=tcp://${ip}:5432`,
      `MY_STORE_PORT_5432_TCP_ADDR=${ip}`,
      'MY_STORE_PORT_5432_TCP_PORT=5432',
      'MY_STORE_PORT_5432_TCP_PROTO=tcp',
      `MY_STORE_PORT_80_UDP=udp://${ip}:80`,
      `MY_STORE_PORT_80_UDP_ADDR=${ip}`,
      'MY_STORE_PORT_80_UDP_PORT=80',
      'MY_STORE_PORT_80_UDP_PROTO=udp',
    ]);
    await host.remove(record);
    await host.remove(db);
    expect(await refusal({ name: 'web', links })).toBe('Cannot link to a non running container: /db AS /web/my-store');
  });
});

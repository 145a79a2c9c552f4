import { containerV1, nodeV1, runtimeV1 } from '@atoll/proto';
import { AsyncQueue } from '@atoll/rpc';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestHost } from '../../testing/test-host.ts';

const S = containerV1.ContainerState;

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
});
afterAll(async () => {
  await host?.dispose();
});

interface Attached {
  readonly input: AsyncQueue<runtimeV1.AttachRequest>;
  /** All output, once it has ended. */
  readonly output: Promise<string>;
}

async function attach(id: string, more: Partial<runtimeV1.AttachStart> = {}): Promise<Attached> {
  const input = new AsyncQueue<runtimeV1.AttachRequest>(64);
  const value = { containerId: id, stdin: true, stdout: true, stderr: true, logs: false, stream: true, ...more };
  input.push({ message: { $case: 'start', value } });
  const answers = host.runtime.attach(input)[Symbol.asyncIterator]();
  const ready = await answers.next();
  expect(ready.value?.message?.$case).toBe('ready');
  const read = async (): Promise<string> => {
    let text = '';
    for (;;) {
      const next = await answers.next();
      if (next.done) break;
      if (next.value.message?.$case === 'output') text += next.value.message.value.data.toString();
    }
    input.end();
    return text;
  };
  return { input, output: read() };
}

async function running(argv: readonly string[] = ['sleep', '1000']): Promise<containerV1.ContainerRecord> {
  const record = host.record(argv);
  await host.ensure(record);
  await host.start(record);
  return record;
}

describe('attach', { timeout: 120_000 }, () => {
  test('before the start: nothing of the output is missed, and input reaches the program', async () => {
    const record = host.record(['cat'], { process: { openStdin: true, stdinOnce: true } });
    await host.ensure(record);
    const { input, output } = await attach(record.id);
    await host.start(record);
    input.push({ message: { $case: 'stdin', value: Buffer.from('over there\n') } });
    input.push({ message: { $case: 'stdinEof', value: true } });
    expect(await output).toBe('over there\n');
    await host.scheduler.state(record.id, S.EXITED);
    await host.remove(record);
  });

  test('to a container that has ended: its next run', async () => {
    const record = host.record(['echo', 'again']);
    await host.run(record);
    const { output } = await attach(record.id, { stdin: false });
    await host.start(record);
    expect(await output).toBe('again\n');
    await host.remove(record);
  });

  test('with a terminal, of the size asked for', async () => {
    const record = host.record(['sh', '-c', 'read x; stty size; tty; exit 5'], {
      process: { tty: true, openStdin: true, stdinOnce: true, consoleHeight: 10, consoleWidth: 20 },
    });
    await host.ensure(record);
    const { input, output } = await attach(record.id);
    await host.start(record);
    await host.runtime.resize({ containerId: record.id, window: { height: 33, width: 99 } });
    input.push({ message: { $case: 'stdin', value: Buffer.from('\n') } });
    expect(await output).toContain('33 99\r\n/dev/');
    expect(await host.scheduler.state(record.id, S.EXITED)).toMatchObject({ exitCode: 5 });
    await host.remove(record);
  });

  test('is refused for what is not there', async () => {
    await expect(attach('0'.repeat(64))).rejects.toThrow('No such container');
  });

  test('much output arrives whole', async () => {
    const record = host.record(['sh', '-c', 'i=0; while [ $i -lt 40000 ]; do echo line-$i; i=$((i+1)); done']);
    await host.ensure(record);
    const { output } = await attach(record.id, { stdin: false });
    await host.start(record);
    const lines = (await output).trim().split('\n');
    expect(lines.length).toBe(40_000);
    expect(lines.at(-1)).toBe('line-39999');
    expect((await host.logs(record.id)).length).toBe(lines.join('\n').length + 1);
    await host.remove(record);
  });
});

describe('logs and waits', { timeout: 120_000 }, () => {
  test('the last lines, and what follows until the end', async () => {
    const record = host.record(['sh', '-c', 'for i in 1 2 3 4 5; do echo $i; done; sleep 0.2; echo last']);
    await host.ensure(record);
    const wait = host.runtime.wait({ containerId: record.id, condition: 'next-exit' })[Symbol.asyncIterator]();
    expect((await wait.next()).value).toMatchObject({ waiting: true });
    await host.start(record);
    const followed = await host.logs(record.id, { follow: true });
    expect(followed).toBe('1\n2\n3\n4\n5\nlast\n');
    expect((await wait.next()).value).toMatchObject({ waiting: false, exitCode: 0 });
    expect(await host.logs(record.id, { tail: 2n })).toBe('5\nlast\n');
    const removed = host.runtime.wait({ containerId: record.id, condition: 'removed' })[Symbol.asyncIterator]();
    await removed.next();
    await host.remove(record);
    expect((await removed.next()).value).toMatchObject({ waiting: false, exitCode: 0 });
  });

  test('a condition nobody knows', async () => {
    const record = await running();
    const wait = host.runtime.wait({ containerId: record.id, condition: 'soon' })[Symbol.asyncIterator]();
    await expect(wait.next()).rejects.toThrow('invalid condition: "soon"');
    await host.remove(record);
  });
});

describe('exec', { timeout: 120_000 }, () => {
  test.each([
    [
      'output and exit code',
      { argv: ['sh', '-c', 'echo out; echo err >&2; exit 7'] },
      undefined,
      7,
      /^(out\nerr\n|err\nout\n)$/,
    ],
    ['input', { argv: ['cat'], attachStdin: true }, 'typed', 0, /^typed$/],
    [
      'environment, folder and user',
      { argv: ['sh', '-c', 'echo $A $(pwd) $(id -u):$(id -g)'], env: ['A=b'], cwd: '/data', user: 'ann' },
      undefined,
      0,
      /^b \/data 1000:1001\n$/,
    ],
    ['a terminal', { argv: ['tty'], tty: true, console: { height: 1, width: 1 } }, undefined, 0, /^\/dev\/\S+\r\n$/],
  ])('%s', async (_name, spec, stdin, code, output) => {
    const record = await running();
    const result = await host.exec(record.id, spec, stdin);
    expect(result.output).toMatch(output);
    expect(result.code).toBe(code);
    expect(await host.runtime.inspectExec({ execId: result.execId })).toMatchObject({ running: false, exitCode: code });
    await host.remove(record);
  });

  test('what cannot be run, and where', async () => {
    const record = await running();
    await expect(host.exec(record.id, { argv: ['nothing-here'] })).rejects.toThrow(
      'OCI runtime exec failed: exec failed: unable to start container process: exec: "nothing-here": executable file not found in $PATH',
    );
    await host.scheduler.order({ action: nodeV1.Action.STOP, record, timeoutSeconds: 0n });
    await expect(host.exec(record.id, { argv: ['true'] })).rejects.toThrow(`container ${record.id} is not running`);
    await host.remove(record);
  });

  test('detached: its end is known later, and it is told to the scheduler', async () => {
    const record = await running();
    const spec = runtimeV1.ExecSpec.fromPartial({ argv: ['sh', '-c', 'exit 3'] });
    const { execId } = await host.runtime.createExec({ containerId: record.id, spec });
    const input = new AsyncQueue<runtimeV1.StartExecRequest>(4);
    input.push({ message: { $case: 'start', value: { execId, detach: true, tty: false, console: undefined } } });
    input.end();
    for await (const { message } of host.runtime.startExec(input)) expect(message?.$case).toBe('started');
    for (;;) {
      const { running: runs, exitCode } = await host.runtime.inspectExec({ execId });
      if (runs) continue;
      expect(exitCode).toBe(3);
      break;
    }
    expect(host.scheduler.events).toContain('exec_die');
    await host.remove(record);
  });
});

describe('what a container uses', { timeout: 120_000 }, () => {
  test('its processes and numbers', async () => {
    const record = await running(['sleep', '1234']);
    const { titles, processes } = await host.runtime.top({ containerId: record.id, psArgs: '' });
    expect(titles).toEqual(['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD']);
    expect(processes.map(({ fields }) => fields.at(-1))).toEqual(['sleep 1234']);
    await expect(host.runtime.top({ containerId: record.id, psArgs: '-o comm' })).rejects.toThrow("Couldn't find PID");
    const stats = host.runtime.stats({ containerId: record.id, stream: false, oneShot: true });
    for await (const sample of stats) {
      expect(sample.pidsCurrent).toBe(1n);
      expect(sample.pidsLimit).toBe(4096n);
      expect(sample.memory?.usage).toBeGreaterThan(0n);
      expect(sample.cpu?.totalUsage).toBeGreaterThan(0n);
    }
    await host.remove(record);
  });
});

describe('files', { timeout: 120_000 }, () => {
  test.each([
    ['running', ['sleep', '1000']],
    ['ended', ['true']],
  ])('in and out of a container that is %s', async (state, argv) => {
    const record = host.record(argv);
    if (state === 'ended') await host.run(record);
    else {
      await host.ensure(record);
      await host.start(record);
    }
    const { stat } = await host.runtime.statArchive({ containerId: record.id, path: '/data' });
    expect(stat).toMatchObject({ name: 'data', mode: 2 ** 31 + 0o755 });
    const pieces: Buffer[] = [];
    for await (const { message } of host.runtime.getArchive({
      containerId: record.id,
      path: '/data',
      withoutMounts: false,
    })) {
      if (message?.$case === 'data') pieces.push(message.value);
    }
    expect(Buffer.concat(pieces).toString('latin1')).toContain('data/seed');
    const put = async function* (): AsyncGenerator<runtimeV1.PutArchiveRequest> {
      const start = { containerId: record.id, path: '/tmp', noOverwriteDirNonDir: false, copyUidGid: false };
      yield { message: { $case: 'start', value: start } };
      for (const data of pieces) yield { message: { $case: 'data', value: data } };
    };
    await host.runtime.putArchive(put());
    const { changes } = await host.runtime.listChanges({ containerId: record.id });
    expect(changes).toContainEqual({ path: '/tmp/data/seed', kind: 1 });
    expect(changes.map(({ path }) => path)).not.toContain('/etc');
    await expect(host.runtime.statArchive({ containerId: record.id, path: '/none' })).rejects.toThrow(
      `Could not find the file /none in container ${record.id}`,
    );
    await host.remove(record);
  });
});

describe('the root alone', { timeout: 120_000 }, () => {
  const names = async (containerId: string): Promise<string[]> => {
    const pieces: Buffer[] = [];
    const request = { containerId, path: '/.', withoutMounts: true };
    for await (const { message } of host.runtime.getArchive(request)) {
      if (message?.$case === 'data') pieces.push(message.value);
    }
    const tar = Buffer.concat(pieces);
    return [...tar.toString('latin1').matchAll(/([\w./]+)\0[\s\S]{0,256}?ustar/g)].map((match) => match[1] ?? '');
  };

  test.each([
    ['running', 'sleep 1000'],
    ['ended', 'true'],
  ])('of a container that is %s: what it wrote and took away, nothing that is mounted', async (_state, rest) => {
    const record = await running(['sh', '-c', `echo x >/made; rm /data/seed; ${rest}`]);
    await expect.poll(() => names(record.id)).toContain('made');
    await expect.poll(() => names(record.id)).not.toContain('data/seed');
    const all = await names(record.id);
    expect(all).toEqual(expect.arrayContaining(['bin/busybox', 'proc/', 'data/']));
    expect(all.filter((name) => /^(proc|sys)\/./.test(name))).toEqual([]);
    await host.remove(record);
  });
});

describe('who may ask', () => {
  test('only the gateway', async () => {
    for (const role of ['scheduler', 'registry', 'image-builder', 'node', 'operator'] as const) {
      const channel = host.channelOf(await host.pki.identity(role, 'x'));
      const client = channel.client(runtimeV1.RuntimeServiceService);
      await expect(client.getUsage({ volumes: false })).rejects.toThrow(`role ${role} may not call`);
      channel.close();
    }
  });
});

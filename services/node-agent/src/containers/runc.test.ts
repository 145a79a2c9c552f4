import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { containerV1, nodeV1, runtimeV1 } from '@atoll/proto';
import { AsyncQueue } from '@atoll/rpc';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildTar } from '../runtime/testing/tar-builder.ts';
import { TestHost } from '../testing/test-host.ts';

const S = containerV1.ContainerState;
const A = nodeV1.Action;

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create({ runtime: 'runc' });
});
afterAll(async () => {
  await host?.dispose();
});

const bundle = (record: containerV1.ContainerRecord): string => join(host.dataRoot, 'containers', record.id);

async function started(
  argv: readonly string[],
  spec: Parameters<TestHost['record']>[1] = {},
): Promise<containerV1.ContainerRecord> {
  const record = host.record(argv, spec);
  await host.ensure(record);
  await host.start(record);
  return record;
}

/** What a container writes that does no more than to look at itself. */
async function seen(script: string, spec: Parameters<TestHost['record']>[1] = {}): Promise<string> {
  const record = host.record(['sh', '-c', script], spec);
  const { output } = await host.run(record);
  await host.remove(record);
  return output;
}

describe('a container of runc', { timeout: 120_000 }, () => {
  test('is one of runc, out of an OCI bundle of its own, and leaves nothing of it', async () => {
    const record = await started(['sleep', '600'], { annotations: { 'org.example.note': 'kept' } });
    expect(readdirSync(join(bundle(record), 'runtime'))).toEqual([record.id]);
    const config = JSON.parse(readFileSync(join(bundle(record), 'config.json'), 'utf8')) as Record<string, unknown>;
    expect(config).toMatchObject({ ociVersion: '1.0.2', annotations: { 'org.example.note': 'kept' } });
    // The host's table shows nothing of its root and its binds.
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(record.id);
    await host.scheduler.order({ action: A.KILL, record, signal: 'SIGKILL' });
    expect(await host.scheduler.state(record.id, S.EXITED)).toMatchObject({ exitCode: 137 });
    expect(existsSync(join(bundle(record), 'runtime'))).toBe(false);
    await host.remove(record);
    await expect.poll(() => host.leaks()).toEqual([]);
  });

  test.each([
    ['capabilities', 'grep CapBnd /proc/self/status', {}, 'CapBnd:\t00000000a80425fb\n'],
    [
      'capabilities that are added and dropped',
      'grep CapEff /proc/self/status',
      { security: { capAdd: ['NET_ADMIN'], capDrop: ['ALL'] } },
      'CapEff:\t0000000000001000\n',
    ],
    [
      'no new privileges',
      'grep NoNewPrivs /proc/self/status',
      { security: { noNewPrivileges: true } },
      'NoNewPrivs:\t1\n',
    ],
    [
      'its default seccomp policy',
      'grep ^Seccomp: /proc/self/status; unshare -n true 2>&1',
      {},
      /Seccomp:\t2\n.*not permitted/,
    ],
    [
      'seccomp unconfined',
      'grep ^Seccomp: /proc/self/status',
      { security: { seccompUnconfined: true } },
      'Seccomp:\t0\n',
    ],
    [
      'a seccomp profile of the user',
      'mkdir /tmp/a 2>&1; echo made nothing',
      {
        security: {
          seccompProfile: {
            defaultAction: 'SCMP_ACT_ALLOW',
            rules: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 }],
          },
        },
      },
      /No space left on device\nmade nothing/,
    ],
    ['a user by name, with groups', 'id -u; id -G', { process: { user: 'ann' } }, '1000\n1001 29\n'],
    ['a group by name', 'id -G', { security: { groupAdd: ['video', '4242'] } }, /^0 .*44 .*4242\n$|^0 .*4242.*44\n$/],
    [
      'host and domain name',
      'hostname; cat /proc/sys/kernel/domainname',
      { network: { mode: 'none', hostname: 'box', domainname: 'lab' } },
      'box\nlab\n',
    ],
    ['a setting of the kernel', 'cat /proc/sys/kernel/msgmax', { sysctls: { 'kernel.msgmax': '12345' } }, '12345\n'],
    ['limits of processes', 'ulimit -n', { ulimits: [{ name: 'nofile', soft: 100n, hard: 200n }] }, '100\n'],
    ['a working directory that is not there', 'pwd', { process: { cwd: '/made/here' } }, '/made/here\n'],
    ['a read-only root', 'touch /x 2>&1', { security: { readOnlyRootfs: true } }, /Read-only file system/],
    ['an init', 'cat /proc/1/cmdline | tr "\\0" " "', { init: true }, /^\/sbin\/docker-init -- sh /],
    [
      'masked and read-only paths',
      'wc -c </proc/interrupts; (echo 1 >/proc/sys/vm/swappiness) 2>&1',
      {},
      /^0\n.*Read-only file system/,
    ],
    ['a size of /dev/shm', 'df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2', { shmSize: 8n << 20n }, '8192\n'],
    ['the score of the OOM killer', 'cat /proc/self/oom_score_adj', { security: { oomScoreAdj: 300 } }, '300\n'],
    ['no score when none is asked for', 'cat /proc/self/oom_score_adj', {}, '0\n'],
    ['no network but its own', 'ls /sys/class/net', {}, 'lo\n'],
  ] as [string, string, Parameters<TestHost['record']>[1], string | RegExp][])(
    'has %s',
    async (_name, script, spec, wanted) => {
      const output = await seen(script, spec);
      if (typeof wanted === 'string') expect(output).toBe(wanted);
      else expect(output).toMatch(wanted);
    },
  );

  test('limits are those of its groups, also when they change before and after the start', async () => {
    const group = (record: containerV1.ContainerRecord): string =>
      readFileSync(`/sys/fs/cgroup/pids/${host.name}/${record.id}/pids.max`, 'utf8').trim();
    const limited = (record: containerV1.ContainerRecord, pidsLimit: bigint, generation: bigint) => ({
      ...record,
      generation,
      spec: containerV1.ContainerSpec.fromPartial({ ...record.spec, resources: { pidsLimit } }),
    });
    const record = host.record(['sleep', '600'], { resources: { pidsLimit: 50n } });
    await host.ensure(record);
    await host.scheduler.order({ action: A.UPDATE, record: limited(record, 60n, 2n) });
    await host.start(limited(record, 60n, 2n));
    expect(group(record)).toBe('60');
    await host.scheduler.order({ action: A.UPDATE, record: limited(record, 70n, 4n) });
    expect(group(record)).toBe('70');
    await host.remove(record);
  });

  test('that takes more memory than it may is killed and says so', async () => {
    const record = host.record(['sh', '-c', 'x=$(head -c 60000000 /dev/zero | tr "\\0" x); echo survived'], {
      resources: { memory: 16n << 20n, memorySwap: 16n << 20n },
    });
    const { status, output } = await host.run(record);
    expect(output).not.toContain('survived');
    expect(status).toMatchObject({ exitCode: 137, oomKilled: true });
    await host.remove(record);
  });

  test("of the host's processes leaves no zombie, and all of it is killed", async () => {
    const record = await started(['sh', '-c', '(sleep 0.1 &) ; (sleep 600 &) ; sleep 600'], { pidMode: 'host' });
    const shim = readFileSync(join(bundle(record), 'shim.pid'), 'utf8').split(' ')[0];
    const children = (): string[] =>
      execFileSync('ps', ['--ppid', shim ?? '', '-o', 'stat=,comm='], { encoding: 'utf8' })
        .trim()
        .split('\n');
    // The first process and the orphan that stays; the one that ended is reaped.
    await expect.poll(() => children().map((line) => line.startsWith('Z'))).toEqual([false, false]);
    await host.scheduler.order({ action: A.KILL, record, signal: 'SIGKILL' });
    await host.scheduler.state(record.id, S.EXITED);
    await host.remove(record);
    await expect.poll(() => host.leaks()).toEqual([]);
  });

  test('gets what was typed before its terminal was there', async () => {
    const record = host.record(['sh', '-c', 'read x; echo got $x; stty size'], {
      process: { tty: true, openStdin: true, stdinOnce: true, consoleHeight: 12, consoleWidth: 34 },
    });
    await host.ensure(record);
    const input = new AsyncQueue<runtimeV1.AttachRequest>(8);
    const value = { containerId: record.id, stdin: true, stdout: true, stderr: true, logs: false, stream: true };
    input.push({ message: { $case: 'start', value: runtimeV1.AttachStart.fromPartial(value) } });
    const answers = host.runtime.attach(input)[Symbol.asyncIterator]();
    await answers.next();
    input.push({ message: { $case: 'stdin', value: Buffer.from('early\n') } });
    await host.start(record);
    let output = '';
    for (let next = await answers.next(); !next.done; next = await answers.next()) {
      if (next.value.message?.$case === 'output') output += next.value.message.value.data.toString();
    }
    input.end();
    expect(output).toContain('got early\r\n12 34\r\n');
    await host.remove(record);
  });

  test('that is paused can be killed', async () => {
    const record = await started(['sleep', '600']);
    await host.scheduler.order({ action: A.PAUSE, record });
    await host.scheduler.order({ action: A.KILL, record, signal: 'SIGKILL' });
    expect(await host.scheduler.state(record.id, S.EXITED)).toMatchObject({ exitCode: 137 });
    await host.remove(record);
  });

  test('binds are read-only with all below them, and what the host mounts later comes in when it is asked for', async () => {
    const source = join(host.folder, 'shared');
    execFileSync('sh', [
      '-c',
      `mkdir -p ${source}/below && mount -t tmpfs none ${source} && mount --make-shared ${source} && mkdir ${source}/below`,
    ]);
    try {
      const record = await started(
        [
          'sh',
          '-c',
          'touch /data/x 2>&1; until [ -e /data/below/late ]; do sleep 0.05; done; echo arrived; touch /data/below/y 2>&1',
        ],
        { mounts: [{ type: 'bind', source, target: '/data', readOnly: true, propagation: 'rslave' }] },
      );
      execFileSync('sh', ['-c', `mount -t tmpfs none ${source}/below && touch ${source}/below/late`]);
      await host.scheduler.state(record.id, S.EXITED);
      expect(await host.logs(record.id)).toMatch(/Read-only file system\narrived\n/);
      await host.remove(record);
    } finally {
      execFileSync('sh', ['-c', `umount -l ${source}/below; umount -l ${source}`]);
    }
  });
});

test('files can be copied into it before its first start, volumes included', { timeout: 60_000 }, async () => {
  const record = host.record(['cat', '/etc/passwd', '/vol/passwd'], {
    mounts: [{ type: 'volume', source: 'rt', target: '/vol' }],
  });
  await host.ensure(record);
  for (const path of ['/etc', '/vol']) {
    const put = async function* (): AsyncGenerator<runtimeV1.PutArchiveRequest> {
      const value = { containerId: record.id, path, noOverwriteDirNonDir: false, copyUidGid: false };
      yield { message: { $case: 'start', value } };
      yield { message: { $case: 'data', value: buildTar([{ name: 'passwd', content: `${path}\n` }]) } };
    };
    await host.runtime.putArchive(put());
  }
  await host.start(record);
  await host.scheduler.state(record.id, S.EXITED);
  expect(await host.logs(record.id)).toBe('/etc\n/vol\n');
  await host.remove(record, { volumes: true });
});

describe('an exec in a container of runc', { timeout: 120_000 }, () => {
  let record: containerV1.ContainerRecord;
  beforeAll(async () => {
    record = await started(['sleep', '600'], { process: { user: 'ann', env: ['PATH=/bin', 'SECRET=x'] } });
  });
  afterAll(async () => {
    await host.remove(record);
  });

  test.each([
    ['the exit code', { argv: ['sh', '-c', 'exit 7'] }, '', 7],
    ['the user of the container', { argv: ['id', '-u'] }, '1000\n', 0],
    ['a user of its own', { argv: ['id', '-u'], user: 'root' }, '0\n', 0],
    ['variables of both', { argv: ['sh', '-c', 'echo $SECRET $OWN'], env: ['OWN=y'] }, 'x y\n', 0],
    ['a folder', { argv: ['pwd'], cwd: '/tmp' }, '/tmp\n', 0],
    [
      'all capabilities',
      { argv: ['sh', '-c', 'grep -c 00000000a80425fb /proc/self/status'], user: 'root', privileged: true },
      '0\n',
      1,
    ],
    ['a signal', { argv: ['sh', '-c', 'kill -9 $$'] }, '', 137],
    ['a terminal', { argv: ['sh', '-c', 'tty; stty size'], tty: true }, /^\/dev\/pts\/\d+\r\n/, 0],
  ] as [string, Partial<runtimeV1.ExecSpec>, string | RegExp, number][])('%s', async (_name, spec, output, code) => {
    const result = await host.exec(record.id, spec);
    if (typeof output === 'string') expect(result.output).toBe(output);
    else expect(result.output).toMatch(output);
    expect(result.code).toBe(code);
  });

  test.each([
    ['a program that is not there', ['nothing-here'], 'executable file not found in $PATH'],
    ['a file that is no program', ['/etc/passwd'], 'permission denied'],
  ])('%s', async (_name, argv, words) => {
    await expect(host.exec(record.id, { argv })).rejects.toThrow(words);
  });

  test('leaves no file of its process behind', async () => {
    await host.exec(record.id, { argv: ['true'] });
    expect(readdirSync(bundle(record)).filter((name) => name.startsWith('exec.'))).toEqual([]);
  });
});

test('a runtime the host does not have', { timeout: 60_000 }, async () => {
  const record = host.record(['true'], { runtime: 'crun' });
  await host.ensure(record);
  const result = await host.scheduler.tryOrder({ action: A.START, record });
  expect(result).toMatchObject({ code: 3, message: 'unknown or invalid runtime name: crun' });
  await host.remove(record);
});

test('its facts tell what the host has', () => {
  expect(host.scheduler.hello?.facts?.runtimes.map(({ name }) => name)).toEqual(['native', 'runc']);
});

import { globSync } from 'node:fs';
import { describe, expect, inject, test } from 'vitest';
import { DockerStream, docker, dockerOk, runOn, TestContainer, unique } from './lib/docker.ts';
import { killAndWait } from './lib/services.ts';
import { until } from './lib/until.ts';

const [, , h3 = ''] = inject('hosts');
const RUNC = ['--runtime', 'runc'];
const start = (args: readonly string[], command: readonly string[]) => runOn(h3, [...RUNC, ...args], command);

describe('which runtimes there are', () => {
  test('docker info names them and the default', async () => {
    const info = JSON.parse(await dockerOk(['info', '-f', '{{json .}}'])) as {
      Runtimes: Record<string, { path: string }>;
      DefaultRuntime: string;
    };
    expect(Object.keys(info.Runtimes).sort()).toEqual(['native', 'runc']);
    expect(info.Runtimes['runc']?.path).toMatch(/\/runc$/);
    expect(info.DefaultRuntime).toBe('native');
  });

  test.each(['kata', 'io.containerd.runc.v2', '/usr/bin/crun'])(
    '--runtime %s is refused and makes nothing',
    async (name) => {
      const container = unique('refused');
      const result = await docker(['create', '--name', container, '--runtime', name, 'busybox', 'true']);
      expect(result.code).toBe(1);
      expect(result.stderr).toContain(`unknown or invalid runtime name: ${name}`);
      expect(await dockerOk(['ps', '-aq', '-f', `name=${container}`])).toBe('');
    },
  );

  test('inspect tells which one a container has', async () => {
    await using container = new TestContainer(unique('rt'));
    await dockerOk(['create', '--name', container.name, ...RUNC, 'busybox', 'true']);
    expect(await container.inspect('.HostConfig.Runtime')).toBe('runc');
  });
});

describe('docker run --runtime runc', () => {
  test.each([
    ['the exit code of the program', ['sh', '-c', 'exit 3'], 3],
    ['a program that is not there', ['nothing-here'], 127],
    ['a file that is no program', ['/etc/passwd'], 126],
    ['an option the runtime refuses', ['true'], 125, ['--sysctl', 'net.ipv4.ip_forward=nonsense']],
  ] as [string, string[], number, string[]?][])('%s', async (_name, command, code, options = []) => {
    expect((await docker(['run', '--rm', ...RUNC, ...options, 'busybox', ...command])).code).toBe(code);
  });

  test('streams: input through, outputs apart', async () => {
    const result = await docker(['run', '--rm', '-i', ...RUNC, 'busybox', 'sh', '-c', 'cat; echo e >&2'], {
      input: 'in\n',
    });
    expect(result).toMatchObject({ code: 0, stdout: 'in\n', stderr: 'e\n' });
  });

  test("a terminal of the size of the person's", async () => {
    await using terminal = new DockerStream(
      ['run', '--rm', '-it', ...RUNC, 'busybox', 'sh', '-c', 'sleep 1; stty size'],
      { terminal: true },
    );
    await terminal.saw('40 100');
    expect(await terminal.closed).toBe(0);
  });

  test('the bridge: an address, names, a published port', async () => {
    await using server = await start(
      ['-p', '80', '--hostname', 'web'],
      ['sh', '-c', 'cd /www && hostname >index.html && httpd -f'],
    );
    const address = await server.inspect('.NetworkSettings.IPAddress');
    expect(address).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    const port = (await dockerOk(['port', server.name, '80'])).split('\n')[0] ?? '';
    await until('an answer', async () => (await fetch(`http://${port}/`).catch(() => undefined))?.ok === true);
    expect(await (await fetch(`http://${port}/`)).text()).toBe('web\n');
  });

  test('networks of users: before the start and while it runs, by name', async () => {
    const [first, second] = [unique('net'), unique('net')];
    await dockerOk(['network', 'create', first]);
    await dockerOk(['network', 'create', second]);
    try {
      await using server = await start(['--network', first], ['sleep', '600']);
      const create = ['create', ...RUNC, '--network', first, 'busybox', 'sleep', '600'];
      await using peer = new TestContainer(await dockerOk(create));
      await dockerOk(['network', 'connect', '--alias', 'second', second, peer.name]);
      await dockerOk(['start', peer.name]);
      await dockerOk(['network', 'connect', second, server.name]);
      await dockerOk(['exec', peer.name, 'ping', '-c1', '-w5', server.name]);
      await dockerOk(['exec', server.name, 'ping', '-c1', '-w5', 'second']);
      await dockerOk(['network', 'disconnect', first, server.name]);
      expect(await dockerOk(['exec', server.name, 'ip', '-o', '-4', 'addr'])).not.toContain('eth0');
    } finally {
      await dockerOk(['network', 'rm', first, second]);
    }
  });

  test('exec, exec -t, top, stats, cp, logs', async () => {
    await using box = await start([], ['sh', '-c', 'echo began; sleep 600']);
    expect(
      await dockerOk(['exec', '-e', 'A=b', '-w', '/tmp', '-u', 'www', box.name, 'sh', '-c', 'echo $A $PWD $(id -u)']),
    ).toBe('b /tmp 33');
    expect((await docker(['exec', box.name, 'sh', '-c', 'exit 4'])).code).toBe(4);
    expect((await docker(['exec', box.name, 'nothing-here'])).code).toBe(127);
    await using terminal = new DockerStream(['exec', '-it', box.name, 'sh', '-c', 'sleep 1; stty size'], {
      terminal: true,
    });
    await terminal.saw('40 100');
    expect(await dockerOk(['top', box.name, '-eo', 'pid,comm'])).toContain('sleep');
    expect(await dockerOk(['stats', '--no-stream', '--format', '{{.PIDs}}', box.name])).toMatch(/^[1-9]/);
    expect((await docker(['cp', `${box.name}:/etc/passwd`, '-'])).stdout).toContain('root:x:0:0');
    expect(await dockerOk(['logs', box.name])).toBe('began');
  });

  test('pause, unpause, update, stop', async () => {
    await using box = await start(['-m', '64m'], ['sh', '-c', 'trap "exit 5" TERM; while :; do sleep 0.05; done']);
    await dockerOk(['pause', box.name]);
    expect(await box.inspect('.State.Status')).toBe('paused');
    await dockerOk(['unpause', box.name]);
    await dockerOk(['update', '-m', '96m', '--memory-swap', '96m', box.name]);
    const id = await box.inspect('.Id');
    expect(
      await dockerOk([
        'exec',
        box.name,
        'sh',
        '-c',
        'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; true',
      ]),
    ).toBe(String(96 << 20));
    expect(globSync(`/sys/fs/cgroup/**/${id}`).length).toBeGreaterThan(0);
    await dockerOk(['stop', box.name]);
    expect(await box.inspect('.State.ExitCode')).toBe(5);
    expect(globSync(`/sys/fs/cgroup/**/${id}`)).toEqual([]);
  });

  test('restart policy and OOM', async () => {
    await using again = await start(['--restart', 'on-failure:2'], ['sh', '-c', 'echo x; exit 1']);
    await until('its two restarts', async () => (await again.inspect<number>('.RestartCount')) === 2);
    await until('its end', async () => (await again.inspect('.State.Status')) === 'exited');
    expect(await dockerOk(['logs', again.name])).toBe('x\nx\nx');
    await using big = await start(
      ['-m', '16m', '--memory-swap', '16m'],
      ['sh', '-c', 'x=$(head -c 60000000 /dev/zero | tr "\\0" x)'],
    );
    await until('its end', async () => (await big.inspect('.State.Status')) === 'exited');
    expect(await big.inspect('.State.OOMKilled')).toBe(true);
    expect(await big.inspect('.State.ExitCode')).toBe(137);
  });

  test('an agent that is killed finds it again, with what it wrote meanwhile', async () => {
    await using box = await start(
      [],
      ['sh', '-c', 'i=0; while [ ! -e /go ]; do i=$((i+1)); sleep 0.05; done; echo went; exit 6'],
    );
    const pid = await box.inspect('.State.Pid');
    await killAndWait(h3);
    await until('the host to be seen again', async () => (await docker(['exec', box.name, 'touch', '/go'])).code === 0);
    expect(await dockerOk(['wait', box.name])).toBe('6');
    expect(pid).toBeGreaterThan(0);
    expect(await dockerOk(['logs', box.name])).toBe('went');
  });
});

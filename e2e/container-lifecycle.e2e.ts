import { describe, expect, inject, test } from 'vitest';
import { DockerStream, docker, dockerOk, runOn, TestContainer, unique } from './lib/docker.ts';
import { until } from './lib/until.ts';

const hosts = inject('hosts');
const [h1 = '', h2 = '', h3 = ''] = hosts;

describe('docker run', () => {
  test.each([
    ['0 for true', ['true'], 0],
    ['the code of the program', ['sh', '-c', 'exit 42'], 42],
    ['127 for a missing program', ['/no/such/program'], 127],
    ['126 for what cannot be run', ['/etc/passwd'], 126],
  ])('exit code: %s', async (_name, command, want) => {
    const result = await docker(['run', '--rm', 'busybox', ...command]);
    expect(result.code, result.stderr).toBe(want);
  });

  test('output and errors arrive on their own streams', async () => {
    const result = await docker(['run', '--rm', 'busybox', 'sh', '-c', 'echo out; echo err >&2']);
    expect(result).toMatchObject({ code: 0, stdout: 'out\n', stderr: 'err\n' });
  });

  test('input reaches the program and its end is an end', async () => {
    const input = 'line\n'.repeat(200_000);
    const result = await docker(['run', '--rm', '-i', 'busybox', 'wc', '-c'], { input });
    expect(result.stdout.trim()).toBe(String(input.length));
  });

  test('a large output is complete', async () => {
    const result = await docker(['run', '--rm', 'busybox', 'seq', '1', '200000']);
    const lines = result.stdout.trimEnd().split('\n');
    expect(lines.length).toBe(200_000);
    expect(lines.at(-1)).toBe('200000');
  });

  test.each([
    ['-e', ['-e', 'GREETING=hi there'], 'echo "$GREETING"', 'hi there'],
    ['-w', ['-w', '/some/where'], 'pwd', '/some/where'],
    ['-u by id', ['-u', '1234:5678'], 'id -u; id -g', '1234\n5678'],
    ['-u by name, with its groups', ['-u', 'www'], 'id -u; id -G', '33\n33 44'],
    ['--hostname', ['--hostname', 'abc'], 'hostname', 'abc'],
    ['--pids-limit', ['--pids-limit', '20'], 'for i in 1 2 3; do sleep 0 & done; wait; echo fine', 'fine'],
    ['--read-only', ['--read-only'], 'touch /x 2>/dev/null || echo read-only', 'read-only'],
    ['--tmpfs', ['--tmpfs', '/scratch:size=1m'], 'grep -c " /scratch tmpfs" /proc/mounts', '1'],
    ['--network none', ['--network', 'none'], 'ls /sys/class/net', 'lo'],
    ['--cap-drop', ['--cap-drop', 'ALL'], 'grep CapEff /proc/self/status', 'CapEff:\t0000000000000000'],
    ["docker's default capabilities", [], 'grep CapEff /proc/self/status', 'CapEff:\t00000000a80425fb'],
  ])('%s', async (_name, options, script, want) => {
    const result = await docker(['run', '--rm', ...options, 'busybox', 'sh', '-c', script]);
    expect(result.stdout.trimEnd(), result.stderr).toBe(want);
  });

  test('--entrypoint', async () => {
    expect(await dockerOk(['run', '--rm', '--entrypoint', 'echo', 'busybox', 'a', 'b'])).toBe('a b');
  });

  test('-m and --cpus are limits of the cgroup and in inspect', async () => {
    await using container = await runOn(h2, ['-m', '64m', '--cpus', '0.5'], ['sleep', '60']);
    expect(await container.inspect('.HostConfig.Memory')).toBe(64 * 1024 * 1024);
    expect(await container.inspect('.HostConfig.NanoCpus')).toBe(500_000_000);
    const stats = await dockerOk(['stats', '--no-stream', '--format', '{{.MemUsage}}', container.name]);
    expect(stats).toContain('64MiB');
  });

  test('a memory hog is killed and inspect says so', async () => {
    await using container = new TestContainer(unique('oom'));
    const result = await docker([
      'run',
      '--name',
      container.name,
      '-m',
      '16m',
      'busybox',
      'sh',
      '-c',
      'tail /dev/zero',
    ]);
    expect(result.code).toBe(137);
    expect(await container.inspect('.State.OOMKilled')).toBe(true);
  });

  test('--rm removes, and the name is free again', async () => {
    const name = unique('rm');
    await dockerOk(['run', '--rm', '--name', name, 'busybox', 'true']);
    await until('the container to be gone', async () => (await docker(['inspect', name])).code !== 0);
    await dockerOk(['run', '--rm', '--name', name, 'busybox', 'true']);
  });

  test('-it has a terminal', async () => {
    await using session = new DockerStream(
      ['run', '--rm', '-it', 'busybox', 'sh', '-c', 'tty; stty size; read x; echo "got $x"'],
      { terminal: true },
    );
    await session.saw('40 100');
    expect(session.stdout).toContain('/dev/pts/0');
    session.child.stdin.write('hello\n');
    await session.saw('got hello');
    expect(await session.closed).toBe(0);
  });
});

describe.each(hosts)('verbs on a container of %s', (host) => {
  test('logs: all, tail, since, timestamps, follow', async () => {
    await using container = await runOn(
      host,
      [],
      ['sh', '-c', 'for i in 1 2 3; do echo line$i; done; sleep 3; echo late'],
    );
    await until('three lines', async () => (await dockerOk(['logs', container.name])).includes('line3'));
    expect(await dockerOk(['logs', '--tail', '2', container.name])).toMatch(/^line2\nline3/);
    expect(await dockerOk(['logs', '-t', '--tail', '1', container.name])).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z line3/);
    await using follow = new DockerStream(['logs', '-f', container.name]);
    expect(await follow.closed).toBe(0);
    expect(follow.stdout).toBe('line1\nline2\nline3\nlate\n');
    expect((await docker(['logs', '--since', '1h', container.name])).stdout).toContain('line1');
    expect((await docker(['logs', '--until', '2020-01-01T00:00:00Z', container.name])).stdout).toBe('');
  });

  test('exec: output, code, environment, directory, user, input, terminal', async () => {
    await using container = await runOn(host, ['-e', 'A=1'], ['sleep', '600']);
    expect(await dockerOk(['exec', container.name, 'echo', 'hi'])).toBe('hi');
    expect((await docker(['exec', container.name, 'sh', '-c', 'exit 7'])).code).toBe(7);
    expect((await docker(['exec', container.name, '/no/such'])).code).toBe(127);
    expect(
      await dockerOk([
        'exec',
        '-e',
        'B=2',
        '-w',
        '/etc',
        '-u',
        'www',
        container.name,
        'sh',
        '-c',
        'echo $A$B; pwd; id -un',
      ]),
    ).toBe('12\n/etc\nwww');
    expect(await dockerOk(['exec', '-i', container.name, 'cat'], { input: 'through' })).toBe('through');
    await using session = new DockerStream(['exec', '-it', container.name, 'tty'], { terminal: true });
    await session.saw('/dev/pts/');
  });

  test('attach takes input and gives output', async () => {
    await using container = await runOn(host, ['-i'], ['sh', '-c', 'while read line; do echo "heard $line"; done']);
    await using attached = new DockerStream(['attach', container.name]);
    attached.child.stdin.write('one\n');
    await attached.saw('heard one');
    attached.child.stdin.write('two\n');
    await attached.saw('heard two');
  });

  test('stop, start, restart, kill, wait', async () => {
    await using container = await runOn(host, [], ['sh', '-c', 'trap "exit 3" TERM; while :; do sleep 0.1; done']);
    await dockerOk(['stop', container.name]);
    expect(await container.inspect('.State.Status')).toBe('exited');
    expect(await container.inspect('.State.ExitCode')).toBe(3);
    await dockerOk(['start', container.name]);
    const pid = await container.inspect('.State.Pid');
    await dockerOk(['restart', container.name]);
    expect(await container.inspect('.State.Pid')).not.toBe(pid);
    await using waiting = new DockerStream(['wait', container.name]);
    await dockerOk(['kill', container.name]);
    await waiting.closed;
    expect(waiting.stdout.trim()).toBe('137');
    expect(await dockerOk(['wait', container.name])).toBe('137');
  });

  test('pause and unpause', async () => {
    await using container = await runOn(host, [], ['sleep', '600']);
    await dockerOk(['pause', container.name]);
    expect(await container.inspect('.State.Status')).toBe('paused');
    expect((await docker(['exec', container.name, 'true'])).stderr).toContain('is paused');
    await dockerOk(['unpause', container.name]);
    expect(await container.inspect('.State.Running')).toBe(true);
  });

  test('top and stats', async () => {
    await using container = await runOn(host, [], ['sleep', '601']);
    expect(await dockerOk(['top', container.name])).toContain('sleep 601');
    const stats = await dockerOk(['stats', '--no-stream', '--format', '{{json .}}', container.name]);
    expect(JSON.parse(stats)).toMatchObject({ Name: container.name, PIDs: '1' });
  });

  test('cp both ways', async () => {
    await using container = await runOn(host, [], ['sleep', '600']);
    const { mkdtempSync, readFileSync, rmSync, writeFileSync } = await import('node:fs');
    const folder = mkdtempSync('/tmp/atoll-e2e-cp-');
    try {
      writeFileSync(`${folder}/in`, 'payload');
      await dockerOk(['cp', `${folder}/in`, `${container.name}:/tmp/there`]);
      expect(await dockerOk(['exec', container.name, 'cat', '/tmp/there'])).toBe('payload');
      await dockerOk(['cp', `${container.name}:/etc/passwd`, `${folder}/out`]);
      expect(readFileSync(`${folder}/out`, 'utf8')).toContain('www:x:33');
      const missing = await docker(['cp', `${container.name}:/nosuch`, folder]);
      expect(missing).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('Could not find the file /nosuch in container'),
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('inspect names the host', async () => {
    await using container = await runOn(host, [], ['sleep', '600']);
    expect(await container.inspect('.Node.Name')).toBe(host);
    expect(await container.inspect('.State.Running')).toBe(true);
    expect(await container.inspect('.NetworkSettings.IPAddress')).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
  });

  test('a published port answers on the machine', async () => {
    await using container = await runOn(
      host,
      ['-p', '80'],
      ['sh', '-c', `echo ${host} >/www/index.html; httpd -f -p 80 -h /www`],
    );
    const address = await dockerOk(['port', container.name, '80/tcp']);
    const port = /:(\d+)$/m.exec(address)?.[1];
    await until('the web server', async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
      return (await answer?.text())?.trim() === host;
    });
  });
});

describe('over all hosts', () => {
  test('ps merges and filters', async () => {
    await using first = await runOn(h1, ['-l', 'e2e.ps=yes'], ['sleep', '600']);
    await using second = await runOn(h3, ['-l', 'e2e.ps=yes'], ['true']);
    await until('the second to exit', async () => (await second.inspect('.State.Status')) === 'exited');
    const names = (args: readonly string[]) =>
      dockerOk(['ps', '--format', '{{.Names}}', ...args]).then((text) => text.split('\n').filter(Boolean).sort());
    expect(await names(['-a', '-f', 'label=e2e.ps=yes'])).toEqual([first.name, second.name].sort());
    expect(await names(['-f', 'label=e2e.ps'])).toEqual([first.name]);
    expect(await names(['-a', '-f', `name=${second.name}`])).toEqual([second.name]);
    expect(await names(['-a', '-f', 'label=e2e.ps', '-f', 'status=exited'])).toEqual([second.name]);
    expect(await names(['-a', '-f', 'label=e2e.ps', '-f', 'exited=0'])).toEqual([second.name]);
    expect(await names(['-a', '-f', 'label=e2e.ps', '-f', 'ancestor=busybox'])).toEqual(
      [first.name, second.name].sort(),
    );
  });

  test('events of every host in one stream', async () => {
    const name = unique('events');
    await using events = new DockerStream(['events', '-f', `container=${name}`, '--format', '{{.Action}}']);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await dockerOk(['run', '--rm', '--name', name, '-l', `atoll.constraints=node.hostname==${h3}`, 'busybox', 'true']);
    await events.saw('destroy');
    const actions = events.stdout.trim().split('\n');
    for (const action of ['create', 'start', 'die', 'destroy']) expect(actions).toContain(action);
    expect(actions.indexOf('create')).toBeLessThan(actions.indexOf('start'));
    expect(actions.indexOf('start')).toBeLessThan(actions.indexOf('die'));
  });

  test('spread puts containers on different hosts', async () => {
    const names = [1, 2, 3].map(() => unique('spread'));
    await using stack = new AsyncDisposableStack();
    for (const name of names) {
      await dockerOk(['run', '-d', '--name', name, 'busybox', 'sleep', '600']);
      stack.use(new TestContainer(name));
    }
    const nodes = await dockerOk(['inspect', '-f', '{{.Node.Name}}', ...names]);
    expect(new Set(nodes.split('\n')).size).toBe(3);
  });

  test('--restart brings a container back after it fails', async () => {
    await using container = await runOn(h2, ['--restart', 'always'], ['sh', '-c', 'sleep 0.3; exit 1']);
    await until('two restarts', async () => (await container.inspect<number>('.RestartCount')) >= 2);
    await dockerOk(['stop', container.name]);
    expect(await container.inspect('.State.Status')).toBe('exited');
  });

  test('rename and rm', async () => {
    await using container = await runOn(h1, [], ['sleep', '600']);
    const name = unique('renamed');
    await dockerOk(['rename', container.name, name]);
    const refused = await docker(['rm', name]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('container is running');
    await dockerOk(['rm', '-f', name]);
    expect((await docker(['inspect', name])).stderr).toMatch(/no such object/i);
  });

  test('info, version, system df', async () => {
    const info = JSON.parse(await dockerOk(['info', '--format', '{{json .}}'])) as {
      NCPU: number;
      Driver: string;
      OSType: string;
    };
    expect(info).toMatchObject({ Driver: 'overlay2', OSType: 'linux' });
    expect(await dockerOk(['version', '--format', '{{.Server.APIVersion}}'])).toBe('1.51');
    expect(await dockerOk(['system', 'df'])).toMatch(/Images\s+\d+/);
  });
});

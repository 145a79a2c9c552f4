import { once } from 'node:events';
import Docker from 'dockerode';
import { describe, expect, inject, test } from 'vitest';
import { WebSocket } from 'ws';
import { DockerStream, docker, dockerOk, runOn, unique } from './lib/docker.ts';
import { run } from './lib/run.ts';
import { killAndWait } from './lib/services.ts';

const [h1 = '', h2 = '', h3 = ''] = inject('hosts');

/** The name of an image that goes at the end of the scope. */
class TestImage implements AsyncDisposable {
  readonly name = unique('e2e-image');
  async [Symbol.asyncDispose](): Promise<void> {
    await docker(['rmi', '-f', this.name]);
  }
}

describe('docker commit', () => {
  test('a running container: its files, changed config and history, on every host', async () => {
    await using image = new TestImage();
    await using container = await runOn(h2, ['-e', 'PATH=/bin'], ['sh', '-c', 'echo made >/made; sleep 600']);
    await expect.poll(() => docker(['exec', container.name, 'cat', '/made'])).toMatchObject({ stdout: 'made\n' });
    const changes = [
      'ENV PATH=/x:$PATH B="two words"',
      'CMD ["cat", "/made"]',
      'LABEL tier=web',
      'EXPOSE 80',
      'USER www',
    ];
    const options = changes.flatMap((change) => ['-c', change]);
    const id = await dockerOk(['commit', ...options, '-a', 'Me', '-m', 'why', container.name, image.name]);
    expect(await container.inspect('.State.Status')).toBe('running');
    const [made] = JSON.parse(await dockerOk(['image', 'inspect', image.name])) as Record<string, unknown>[];
    expect(made).toMatchObject({ Id: id, Author: 'Me', Comment: 'why', Parent: await container.inspect('.Image') });
    expect(made?.['Config']).toMatchObject({ User: 'www', Labels: { tier: 'web' }, ExposedPorts: { '80/tcp': {} } });
    expect(made).toHaveProperty('Config.Env', ['PATH=/x:/bin', 'B=two words']);
    expect(await dockerOk(['history', '--format', '{{.CreatedBy}}|{{.Comment}}', image.name])).toContain('|why');
    for (const host of [h1, h3]) {
      const on = ['run', '--rm', '-l', `atoll.constraints=node.hostname==${host}`, image.name];
      expect(await dockerOk(on)).toBe('made');
    }
  });

  test('a stopped container, without a name; what it deleted is gone', async () => {
    await using container = await runOn(h3, [], ['rm', '-r', '/www']);
    await dockerOk(['wait', container.name]);
    const id = await dockerOk(['commit', container.name]);
    try {
      expect((await docker(['run', '--rm', id, 'ls', '/www'])).stderr).toContain('No such file');
    } finally {
      await docker(['rmi', id]);
    }
  });

  test('pauses unless told otherwise, and says so in events', async () => {
    await using image = new TestImage();
    await using container = await runOn(h2, [], ['sh', '-c', 'echo >/made; sleep 600']);
    await using events = new DockerStream([
      'events',
      '--since',
      '1',
      '-f',
      `container=${container.name}`,
      '--format',
      '{{.Action}} {{.Actor.Attributes.imageRef}}',
    ]);
    await dockerOk(['commit', container.name, `${image.name}:paused`]);
    await events.saw(`commit ${image.name}:paused`);
    await events.saw('\nunpause');
    expect(events.stdout).toMatch(/^pause .*\n(.*\n)*unpause /m);
    const seen = events.stdout.match(/unpause/g)?.length;
    await dockerOk(['commit', '--pause=false', container.name, `${image.name}:live`]);
    await events.saw(`commit ${image.name}:live`);
    expect(events.stdout.match(/unpause/g)?.length).toBe(seen);
    await docker(['rmi', `${image.name}:paused`, `${image.name}:live`]);
  });

  test.each([
    ['an instruction that is no change', ['-c', 'RUN true'], 'is not a valid change command'],
    ['a malformed one', ['-c', 'EXPOSE x'], 'invalid containerPort'],
  ])('refuses %s and leaves nothing', async (_name, options, message) => {
    await using container = await runOn(h2, [], ['sleep', '600']);
    const name = unique('e2e-image');
    const result = await docker(['commit', ...options, container.name, name]);
    expect([result.code, result.stderr]).toEqual([1, expect.stringContaining(message)]);
    expect(await dockerOk(['images', '-q', name])).toBe('');
    expect(await container.inspect('.State.Status')).toBe('running');
  });
});

describe('attach by WebSocket', () => {
  const open = async (name: string, query: string): Promise<{ socket: WebSocket; text: () => string }> => {
    const path = `/v1.51/containers/${name}/attach/ws?${query}`;
    const socket = new WebSocket(`ws+unix://${inject('dockerHost').replace('unix://', '')}:${path}`);
    const pieces: Buffer[] = [];
    socket.on('message', (data: Buffer) => pieces.push(data));
    await once(socket, 'open');
    return { socket, text: () => Buffer.concat(pieces).toString() };
  };

  test('a terminal: what was logged, then keys in, characters out, and away by the detach keys', async () => {
    await using container = await runOn(h2, ['-it'], ['sh', '-c', 'echo before; exec sh']);
    await expect.poll(() => dockerOk(['logs', container.name])).toContain('before');
    const { socket, text } = await open(container.name, 'logs=1&stream=1&stdin=1&stdout=1&stderr=1');
    await expect.poll(text).toContain('before\r\n');
    socket.send('echo $((40+2))\n');
    await expect.poll(text).toContain('42\r\n');
    socket.send(Buffer.from([16, 17]));
    await once(socket, 'close');
    expect(await container.inspect('.State.Running')).toBe(true);
  });

  test('output and errors unframed until the end of the process', async () => {
    await using container = await runOn(h3, ['-i'], ['sh', '-c', 'read line; echo "got $line"; echo bad >&2']);
    const { socket, text } = await open(container.name, 'stream=1&stdin=1&stdout=1&stderr=1');
    socket.send('this\n');
    const [code] = (await once(socket, 'close')) as [number];
    expect([code, text().split('\n').sort()]).toEqual([1000, ['', 'bad', 'got this']]);
  });
});

describe('health', () => {
  const CHECK = ['--health-cmd', 'echo probing; test -e /well', '--health-interval', '100ms', '--health-retries', '2'];
  const filtered = (value: string, name: string): Promise<string> =>
    dockerOk(['ps', '-f', `health=${value}`, '-f', `name=${name}`, '--format', '{{.Names}}']);

  test('is in ps, its filter and inspect, with the last five probes', async () => {
    await using container = await runOn(h2, CHECK, ['sleep', '600']);
    await expect.poll(() => container.inspect('.State.Health.Status'), { timeout: 20_000 }).toBe('unhealthy');
    expect(await filtered('unhealthy', container.name)).toBe(container.name);
    expect(await filtered('healthy', container.name)).toBe('');
    await expect.poll(() => container.inspect<object[]>('.State.Health.Log').then((log) => log.length)).toBe(5);
    const sick = await container.inspect<Record<string, unknown>>('.State.Health');
    expect(sick['FailingStreak']).toBeGreaterThanOrEqual(5);
    expect(sick['Log']).toContainEqual(expect.objectContaining({ ExitCode: 1, Output: 'probing\n' }));
    await dockerOk(['exec', container.name, 'touch', '/well']);
    await expect.poll(() => container.inspect('.State.Health.Status'), { timeout: 20_000 }).toBe('healthy');
    expect(await container.inspect('.State.Health.FailingStreak')).toBe(0);
    expect(await dockerOk(['ps', '-f', `name=${container.name}`, '--format', '{{.Status}}'])).toContain('(healthy)');
  });
});

describe('sizes', () => {
  test('of list and inspect count what the container wrote, and its image', async () => {
    await using container = await runOn(h3, [], ['sh', '-c', 'head -c 1000000 /dev/zero >/big; sleep 600']);
    const size = async (): Promise<number> =>
      JSON.parse(await dockerOk(['inspect', '-s', '-f', '{{.SizeRw}}', container.name]));
    await expect.poll(size).toBe(1_000_000);
    const root = Number(await dockerOk(['inspect', '-s', '-f', '{{.SizeRootFs}}', container.name]));
    expect(root).toBeGreaterThan(1_000_000);
    const listed = await dockerOk(['ps', '-s', '-f', `name=${container.name}`, '--format', '{{.Size}}']);
    expect(listed).toMatch(/^1MB \(virtual /);
    expect(await dockerOk(['inspect', '-f', '{{.SizeRw}}', container.name])).toBe('<nil>');
  });
});

describe('docker events', () => {
  test('of all that is done with a container, in order', async () => {
    const name = unique('e2e');
    const on = ['-l', `atoll.constraints=node.hostname==${h3}`];
    await using events = new DockerStream([
      'events',
      '-f',
      'type=container',
      '-f',
      'type=network',
      '--format',
      '{{.TimeNano}}|{{.Action}}|{{json .Actor}}',
    ]);
    const id = await dockerOk(['create', '--name', name, ...on, 'busybox', 'sleep', '600']);
    await dockerOk(['start', name]);
    await dockerOk(['top', name]);
    await dockerOk(['cp', `${name}:/etc/passwd`, '-']);
    await dockerOk(['export', name]);
    await dockerOk(['rm', '-f', name]);
    await events.saw(`destroy|{"ID":"${id}"`);
    // By their times: what gateway and scheduler tell of one moment may come in either order.
    const seen = events.stdout
      .split('\n')
      .filter((line) => line.includes(id))
      .sort();
    expect(seen.map((line) => line.split('|')[1])).toEqual([
      ...['create', 'connect', 'start', 'top', 'archive-path', 'export'],
      ...['kill', 'die', 'disconnect', 'destroy'],
    ]);
  });
});

const client = (): Docker => new Docker({ socketPath: inject('dockerHost').replace('unix://', '') });

describe('docker exec', () => {
  test.each([
    ['-e', ['-e', 'A=b c'], 'echo "$A"', 'b c'],
    ['-u', ['-u', 'www'], 'id -u; id -G', '33\n33 44'],
    ['-w', ['-w', '/etc'], 'pwd', '/etc'],
    ['--privileged', ['--privileged'], 'grep -c "CapEff:.*1f.*fff" /proc/self/status', '1'],
  ])('%s', async (_name, options, script, want) => {
    await using container = await runOn(h2, [], ['sleep', '600']);
    expect(await dockerOk(['exec', ...options, container.name, 'sh', '-c', script])).toBe(want);
  });

  test.each([
    ['a program that is not there', ['nosuch'], 127, 'executable file not found in $PATH'],
    ['a file that is no program', ['/etc/passwd'], 126, 'permission denied'],
    ['a user nobody knows', ['-u', 'nobodyknows'], 126, 'unable to find user nobodyknows'],
    ['a folder that is not absolute', ['-w', 'tmp'], 1, 'it needs to be an absolute path'],
  ])('%s', async (_name, [first = '', second], code, message) => {
    await using container = await runOn(h3, [], ['sleep', '600']);
    const words = second === undefined ? [container.name, first] : [first, second, container.name, 'true'];
    const result = await docker(['exec', ...words]);
    expect([result.code, result.stdout + result.stderr]).toEqual([code, expect.stringContaining(message)]);
  });

  test('the terminal has the size it was made with, or started with', async () => {
    await using container = await runOn(h2, [], ['sleep', '600']);
    await using shown = new DockerStream(['exec', '-it', container.name, 'stty', 'size'], { terminal: true });
    await shown.saw('40 100');
    const exec = await client()
      .getContainer(container.name)
      .exec({
        Cmd: ['stty', 'size'],
        Tty: true,
        AttachStdout: true,
        ConsoleSize: [12, 34],
      } as Docker.ExecCreateOptions);
    const stream = await exec.start({ Tty: true });
    let text = '';
    stream.on('data', (data: Buffer) => {
      text += data.toString();
    });
    await once(stream, 'end');
    expect(text).toBe('12 34\r\n');
  });

  test('exit codes outlive the agent; what runs goes on, and one that ends unseen says so', async () => {
    await using container = await runOn(h3, [], ['sleep', '600']);
    const start = async (script: string): Promise<Docker.Exec> => {
      const exec = await client()
        .getContainer(container.name)
        .exec({ Cmd: ['sh', '-c', script] });
      await exec.start({ Detach: true });
      return exec;
    };
    const ended = await start('exit 3');
    const running = await start('until [ -e /go ]; do sleep 0.1; done');
    await expect.poll(() => ended.inspect()).toMatchObject({ Running: false, ExitCode: 3 });
    await new Promise((resolve) => setTimeout(resolve, 500)); // it is written down a moment later
    await killAndWait(h3);
    expect(await ended.inspect()).toMatchObject({ Running: false, ExitCode: 3 });
    expect(await running.inspect()).toMatchObject({ Running: true, ExitCode: null });
    await dockerOk(['exec', container.name, 'touch', '/go']);
    const told = () => running.inspect().catch((error: { statusCode: number }) => error.statusCode);
    await expect.poll(told, { timeout: 20_000 }).toBe(500);
  });
});

describe('smaller questions', () => {
  test('top takes arguments of ps', async () => {
    await using container = await runOn(h2, [], ['sleep', '600']);
    expect(await dockerOk(['top', container.name, '-o', 'pid,comm'])).toMatch(/^PID +COMMAND\n\d+ +sleep$/);
    const wrong = await docker(['top', container.name, '-o', 'comm']);
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("Couldn't find PID field")]);
  });

  test('logs from and to a time with decimals', async () => {
    await using container = await runOn(h3, [], ['sh', '-c', 'echo one; sleep 0.2; echo two']);
    await dockerOk(['wait', container.name]);
    const lines = (await dockerOk(['logs', '-t', container.name])).split('\n');
    const second = lines[1]?.split(' ')[0] ?? '';
    expect(await dockerOk(['logs', '--since', second, container.name])).toBe('two');
    const before = second.replace(/\d(?=Z$)/, (digit) => String(Math.max(0, Number(digit) - 1)));
    expect(await dockerOk(['logs', '--until', before, container.name])).toMatch(/^one/);
  });

  test('an export has the files of a running container, none of its volumes and of the kernel', async () => {
    await using container = await runOn(h2, ['-v', '/vol'], ['sh', '-c', 'echo x >/vol/in; echo x >/made; sleep 600']);
    await expect.poll(() => docker(['exec', container.name, 'cat', '/made'])).toMatchObject({ stdout: 'x\n' });
    const env = { DOCKER_HOST: inject('dockerHost') };
    const listed = await run('sh', ['-c', `docker export ${container.name} | tar t`], { env });
    const names = listed.stdout.split('\n');
    expect(names, listed.stderr).toEqual(expect.arrayContaining(['made', 'vol/', 'bin/busybox', 'proc/']));
    expect(names.filter((name) => /^(vol|proc|sys)\/./.test(name))).toEqual([]);
  });

  test('stats without a second sample', async () => {
    await using container = await runOn(h2, [], ['sleep', '600']);
    const stats = await client().getContainer(container.name).stats({ stream: false, 'one-shot': true });
    expect(stats).toMatchObject({ preread: '0001-01-01T00:00:00Z', pids_stats: { current: 1 } });
  });

  test('a new restart policy works at the next end', async () => {
    await using container = await runOn(h3, [], ['sh', '-c', 'until [ -e /go ]; do sleep 0.1; done; rm /go; exit 1']);
    await dockerOk(['update', '--restart', 'on-failure:5', container.name]);
    expect(await container.inspect('.HostConfig.RestartPolicy')).toEqual({ Name: 'on-failure', MaximumRetryCount: 5 });
    await dockerOk(['exec', container.name, 'touch', '/go']);
    await expect.poll(() => container.inspect('.RestartCount'), { timeout: 20_000 }).toBe(1);
  });
});

import { once } from 'node:events';
import { describe, expect, inject, test } from 'vitest';
import { WebSocket } from 'ws';
import { DockerStream, docker, dockerOk, runOn, unique } from './lib/docker.ts';

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
      '{{.Action}}|{{json .Actor}}',
    ]);
    const id = await dockerOk(['create', '--name', name, ...on, 'busybox', 'sleep', '600']);
    await dockerOk(['start', name]);
    await dockerOk(['top', name]);
    await dockerOk(['cp', `${name}:/etc/passwd`, '-']);
    await dockerOk(['export', name]);
    await dockerOk(['rm', '-f', name]);
    await events.saw(`destroy|{"ID":"${id}"`);
    const seen = events.stdout.split('\n').filter((line) => line.includes(id));
    expect(seen.map((line) => line.split('|')[0])).toEqual([
      ...['create', 'connect', 'start', 'top', 'archive-path', 'export'],
      ...['kill', 'die', 'disconnect', 'destroy'],
    ]);
  });
});

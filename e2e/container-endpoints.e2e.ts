import { describe, expect, inject, test } from 'vitest';
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

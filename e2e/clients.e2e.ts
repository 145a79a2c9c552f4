import Docker from 'dockerode';
import { GenericContainer, Wait } from 'testcontainers';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { unique } from './lib/docker.ts';

beforeAll(() => {
  process.env['DOCKER_HOST'] = inject('dockerHost');
  // Its reaper is an image of the public hub, which no test machine reaches; it needs a mounted socket, which is of a later issue.
  process.env['TESTCONTAINERS_RYUK_DISABLED'] = 'true';
});

describe('dockerode', () => {
  const client = () => new Docker({ socketPath: inject('dockerHost').replace('unix://', '') });

  test('create, start, wait, logs, remove', async () => {
    const container = await client().createContainer({
      Image: 'busybox',
      Cmd: ['sh', '-c', 'echo from dockerode; exit 5'],
      name: unique('dockerode'),
    });
    try {
      await container.start();
      expect(await container.wait()).toMatchObject({ StatusCode: 5 });
      const logs = await container.logs({ stdout: true });
      expect(logs.toString()).toContain('from dockerode');
      expect((await container.inspect()).State).toMatchObject({ Status: 'exited', ExitCode: 5 });
    } finally {
      await container.remove({ force: true });
    }
  });

  test('exec with a hijacked stream', async () => {
    const container = await client().createContainer({ Image: 'busybox', Cmd: ['sleep', '600'] });
    try {
      await container.start();
      const exec = await container.exec({ Cmd: ['cat'], AttachStdin: true, AttachStdout: true });
      const stream = await exec.start({ hijack: true, stdin: true });
      const parts: Buffer[] = [];
      const ended = new Promise((resolve) => stream.on('data', (part: Buffer) => parts.push(part)).on('end', resolve));
      stream.end('through the hijack');
      await ended;
      expect(Buffer.concat(parts).toString()).toContain('through the hijack');
      expect(await exec.inspect()).toMatchObject({ Running: false, ExitCode: 0 });
    } finally {
      await container.remove({ force: true });
    }
  });

  test('errors have their status', async () => {
    await expect(client().getContainer('no-such').inspect()).rejects.toMatchObject({ statusCode: 404 });
  });
});

describe('testcontainers', () => {
  test('a web server with a port and a wait strategy, several at once', async () => {
    const start = (text: string) =>
      new GenericContainer('busybox')
        .withCommand(['sh', '-c', `echo ${text} >/www/index.html; echo serving; httpd -f -p 80 -h /www`])
        .withExposedPorts(80)
        .withWaitStrategy(Wait.forLogMessage('serving'))
        .start();
    const started = await Promise.all(['one', 'two', 'three'].map(start));
    try {
      for (const [i, container] of started.entries()) {
        const answer = await fetch(`http://${container.getHost()}:${container.getMappedPort(80)}/`);
        expect((await answer.text()).trim()).toBe(['one', 'two', 'three'][i]);
        expect((await container.exec(['echo', 'inside'])).output).toContain('inside');
      }
    } finally {
      await Promise.all(started.map((container) => container.stop()));
    }
  });

  test('files copied in before the start', async () => {
    const container = await new GenericContainer('busybox')
      .withCopyContentToContainer([{ content: 'copied', target: '/tmp/file' }])
      .withCommand(['sh', '-c', 'cat /tmp/file; echo; echo ready; sleep 600'])
      .withWaitStrategy(Wait.forLogMessage('ready'))
      .start();
    try {
      expect((await container.exec(['cat', '/tmp/file'])).output).toBe('copied');
    } finally {
      await container.stop();
    }
  });
});

import Docker from 'dockerode';
import { describe, expect, inject, test } from 'vitest';
import { unique } from './lib/docker.ts';

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

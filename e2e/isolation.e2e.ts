import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster } from './lib/cluster.ts';
import { docker, dockerHost, dockerOk, runOn, TestContainer, unique } from './lib/docker.ts';
import { run } from './lib/run.ts';
import { remappingCluster, stopRemappingCluster, USER_NAMESPACE_MODES } from './lib/user-namespaces.ts';

describe.each(USER_NAMESPACE_MODES)('%s user namespaces', (mode) => {
  const [h1, h2] = ['h1', 'h2'];
  /** Where the programs of the hostile image leave their mark when somebody runs them, in a container or on a host. */
  const MARKER = `/tmp/atoll-marker-${randomBytes(6).toString('hex')}`;
  const FAKES = ['xz', 'unpigz', 'pigz', 'gzip', 'gunzip', 'zstd', 'tar', 'ps', 'getent', 'nsenter'];
  const image = unique('hostile');
  let folder: string;
  let cluster: Cluster | undefined;

  beforeAll(async () => {
    if (mode === 'with') cluster = await remappingCluster();
    folder = await mkdtemp(join(tmpdir(), 'atoll-e2e-isolation-'));
    const fake = `#!/bin/busybox sh\\necho $0 >>${MARKER}\\n`;
    const lines = [
      'FROM busybox',
      `RUN cd /bin && for name in ${FAKES.join(' ')}; do rm -f $name; printf '${fake}' >$name; chmod 755 $name; done`,
      "RUN mkdir -p /lib /etc && printf 'passwd: evil\\n' >/etc/nsswitch.conf && printf 'no library' >/lib/libnss_evil.so.2",
      `LABEL atoll.constraints="node.hostname==nowhere"`,
      'ENV LD_PRELOAD=/lib/libnss_evil.so.2 NODE_OPTIONS=--require=/evil.js constraint:node==nowhere',
    ];
    await writeFile(join(folder, 'Dockerfile'), lines.join('\n'));
    await dockerOk(['build', '-t', image, folder], { timeoutMs: 120_000 });
  });
  afterAll(async () => {
    await docker(['rmi', '-f', image]);
    await rm(folder, { recursive: true, force: true });
    await stopRemappingCluster(cluster);
  });

  describe('E01, E36: an image with programs, libraries and labels for whoever looks into it', () => {
    test('none of its programs is run by copies, builds, users and lists of processes', async () => {
      const hostile = new TestContainer(unique('hostile'));
      await using _removed = hostile;
      await dockerOk(['run', '-d', '--name', hostile.name, image, 'sleep', '600']);
      const tar = join(folder, 'plain.tar');
      await run('tar', ['-C', folder, '-cf', tar, 'Dockerfile']);
      const plain = await run('sh', ['-c', `base64 <'${tar}'`]);
      await writeFile(join(folder, 'added.tar.gz'), gzipSync(Buffer.from(plain.stdout, 'base64')));
      await dockerOk(['cp', join(folder, 'Dockerfile'), `${hostile.name}:/tmp/copied`]);
      await dockerOk(['cp', `${hostile.name}:/etc/passwd`, join(folder, 'passwd')]);
      expect(await put(hostile.name, gzipSync(Buffer.from(plain.stdout, 'base64')))).toBe(200);
      expect(await dockerOk(['top', hostile.name])).toContain('sleep 600');
      await dockerOk(['exec', '-u', 'www', hostile.name, 'true']);
      await writeFile(
        join(folder, 'Dockerfile'),
        `FROM ${image}\nADD added.tar.gz /added/\nUSER www\nRUN test -f /added/Dockerfile\n`,
      );
      await dockerOk(['build', '-t', `${image}-2`, folder], { timeoutMs: 120_000 });
      await dockerOk(['rmi', `${image}-2`]);
      expect(await dockerOk(['exec', hostile.name, 'ls', '/tmp'])).not.toContain('atoll-marker');
      expect(existsSync(MARKER)).toBe(false);
      // The control: a program that is run leaves its mark.
      await dockerOk(['exec', hostile.name, 'gzip']);
      expect(await dockerOk(['exec', hostile.name, 'cat', MARKER])).toBe('/bin/gzip');
    });

    test('its labels and variables choose no host; those of a user do', async () => {
      const free = new TestContainer(unique('free'));
      await using _free = free;
      await dockerOk(['create', '--name', free.name, image, 'true']);
      const bound = new TestContainer(unique('bound'));
      await using _bound = bound;
      await dockerOk(['create', '--name', bound.name, '-l', `atoll.constraints=node.hostname==${h2}`, image, 'true']);
      expect(await bound.inspect('.Node.Name')).toBe(h2);
    });
  });

  describe('what is refused with its name', () => {
    test.each([
      ['E37: a checkpoint', 'POST', 'checkpoints', '{"CheckpointID":"x"}', 404],
      ['E37: a start from a checkpoint', 'POST', 'start?checkpoint=x', '', 501],
      ['E42: processors without end', 'POST', 'update', '{"CpusetCpus":"0-999999999"}', 400],
      [
        'E42: a list of processors of 1 MiB',
        'POST',
        'update',
        JSON.stringify({ CpusetCpus: `0${',0'.repeat(1 << 19)}` }),
        400,
      ],
    ])('%s', async (_name, method, path, body, status) => {
      await using container = await runOn(h1, [], ['sleep', '600']);
      const answer = await api(method, `/v1.51/containers/${container.name}/${path}`, body);
      expect(answer.status, answer.text).toBe(status);
    });

    // The CLI refuses settings it does not know by itself, so these go past it.
    test.each([
      ['a setting of the host', { 'kernel.core_pattern': '|/evil' }],
      ['two settings in one', { 'net.ipv4.ip_forward': '1\nkernel.core_pattern=/evil' }],
    ])('E15: %s', async (_name, Sysctls) => {
      await using container = new TestContainer(unique('sysctl'));
      const body = JSON.stringify({ Image: 'busybox', Cmd: ['true'], HostConfig: { Sysctls } });
      const created = await api('POST', `/v1.51/containers/create?name=${container.name}`, body);
      expect(created.status, created.text).toBe(400);
    });
  });
});

const put = async (name: string, body: Buffer): Promise<number> =>
  (await api('PUT', `/v1.51/containers/${name}/archive?path=/tmp`, body, 'application/x-tar')).status;

function api(
  method: string,
  path: string,
  body: string | Buffer,
  type = 'application/json',
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const socketPath = dockerHost().replace('unix://', '');
    const call = request({ socketPath, method, path, headers: { 'Content-Type': type } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    call.on('error', reject);
    call.end(body);
  });
}

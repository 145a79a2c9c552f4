import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { busyboxRootfs } from './lib/base-image.ts';
import { type Cluster, startCluster, stopCluster } from './lib/cluster.ts';
import { docker, dockerHost, dockerOk, TestContainer, unique, useDockerHost } from './lib/docker.ts';
import { descriptorsOf } from './lib/processes.ts';
import { killAndWait, pidOf } from './lib/services.ts';
import { buildDockerCliImage } from './lib/tool-images.ts';
import { until } from './lib/until.ts';
import { remappingCluster, stopRemappingCluster } from './lib/user-namespaces.ts';

const RUNNER = 'e2e-docker-cli';
const SOCKET = '/var/run/docker.sock';

const hostOf = (number: number): string => inject('hosts')[number] ?? '';
const at = (host: string): string[] => (host === '' ? [] : ['-l', `atoll.constraints=node.hostname==${host}`]);

/** A container with a docker CLI and the socket, as a CI runner; it has nothing to do but what execs bring. */
async function runner(host: string, args: readonly string[] = ['-v', `${SOCKET}:${SOCKET}`]): Promise<Runner> {
  const name = unique('runner');
  await dockerOk(['run', '-d', '--name', name, ...at(host), ...args, RUNNER, 'sleep', '3600']);
  return new Runner(name);
}

class Runner extends TestContainer {
  /** A command of its shell; throws when it fails. */
  async sh(script: string, input?: string | Buffer): Promise<string> {
    const interactive = input === undefined ? [] : ['-i'];
    const options = input === undefined ? {} : { input };
    return await dockerOk(['exec', ...interactive, this.name, 'sh', '-c', script], options);
  }
}

beforeAll(() => buildDockerCliImage(RUNNER));
afterAll(async () => void (await docker(['rmi', '-f', RUNNER])));

describe('a CI runner with the Docker socket', () => {
  test.each([0, 1, 2])('uses the cluster from host %i', async (number) => {
    await using ci = await runner(hostOf(number));
    const name = unique('job');
    expect(await ci.sh(`stat -c '%u:%g %a' ${SOCKET}`)).toBe('0:0 660');
    expect(await ci.sh('docker info -f "{{.Name}} {{.ID}}"')).toBe(await dockerOk(['info', '-f', '{{.Name}} {{.ID}}']));
    expect(await ci.sh(`docker run --name ${name} busybox sh -c 'echo from inside; exit 7' || echo code $?`)).toBe(
      'from inside\ncode 7',
    );
    expect(await dockerOk(['logs', name])).toBe('from inside');
    await ci.sh(`docker rm ${name}`);
    const everywhere = inject('hosts').map(
      (host) => `docker run --rm -l atoll.constraints=node.hostname==${host} busybox echo on ${host}`,
    );
    expect(await ci.sh(everywhere.join(' && '))).toBe(
      inject('hosts')
        .map((host) => `on ${host}`)
        .join('\n'),
    );
  });

  test.each<[string, () => readonly string[], string]>([
    ['without the link', () => ['-v', '/run/docker.sock:/run/docker.sock'], '/run/docker.sock'],
    ["by the cluster's own path, elsewhere", () => ['-v', `${ownPath()}:/tmp/own.sock`], '/tmp/own.sock'],
    ['read-only', () => ['-v', `${SOCKET}:${SOCKET}:ro`], SOCKET],
    ['by --mount', () => ['--mount', `type=bind,source=${SOCKET},target=/deep/in/docker.sock`], '/deep/in/docker.sock'],
    ['twice', () => ['-v', `${SOCKET}:${SOCKET}`, '-v', `${SOCKET}:/b.sock:ro`], '/b.sock'],
    ['in a root that is read-only', () => ['--read-only', '-v', `${SOCKET}:/tmp/d.sock`], '/tmp/d.sock'],
    ['by another runtime', () => ['--runtime', 'runc', '-v', `${SOCKET}:${SOCKET}`], SOCKET],
  ])('mounts it %s', async (_name, args, target) => {
    await using ci = await runner(hostOf(1), args());
    expect(await ci.sh(`docker -H unix://${target} run --rm busybox echo it works`)).toBe('it works');
    const mounts = await ci.inspect<{ Type: string; Source: string }[]>('.Mounts');
    expect(mounts[0]).toMatchObject({ Type: 'bind', Source: expect.stringMatching(/docker\.sock$/) });
  });

  test('takes it from another container', async () => {
    await using ci = await runner(hostOf(1));
    await using second = await runner('', ['--volumes-from', ci.name]);
    expect(await second.sh('docker ps -q --no-trunc')).toContain(await second.inspect('.Id'));
  });

  test('streams both ways through hijacked connections, and much of it', async () => {
    await using ci = await runner(hostOf(1));
    const bytes = randomBytes(20_000_000);
    const sum = createHash('md5').update(bytes).digest('hex');
    expect(await ci.sh('docker run --rm -i busybox md5sum', bytes)).toBe(`${sum}  -`);
    await ci.sh('mkdir /c && cat >/c/file && printf "FROM busybox\\nCOPY file /file\\n" >/c/Dockerfile', bytes);
    const tag = unique('built');
    try {
      await ci.sh(`docker build -q -t ${tag} /c`);
      expect(await ci.sh(`docker run --rm ${tag} cat /file | md5sum`)).toBe(`${sum}  -`);
      expect(await ci.sh(`docker save ${tag} | wc -c`)).toSatisfy((size) => Number(size) > bytes.length);
    } finally {
      await docker(['rmi', '-f', tag]);
    }
  });

  test('is refused to users inside that are not root', async () => {
    await using ci = await runner(hostOf(1));
    const asked = await docker(['exec', '-u', '1000:1000', ci.name, 'docker', 'ps']);
    expect(asked.code).not.toBe(0);
    expect(asked.stderr).toContain('permission denied');
  });

  test('keeps it when its host takes a new agent, and when the gateway comes back', async () => {
    await using ci = await runner(hostOf(2));
    const ask = 'docker run --rm busybox echo answered';
    await killAndWait(hostOf(2));
    await until('an exec after the restart', async () => (await docker(['exec', ci.name, 'true'])).code === 0);
    expect(await ci.sh(ask)).toBe('answered');
    // Asked by the runner itself, while no gateway is there: the connection waits for the next one.
    await ci.sh('rm -f /out; (sleep 1; docker version -f "{{.Server.Version}}" >/out 2>&1) >/dev/null 2>&1 &');
    await killAndWait('gateway');
    await until('the gateway', async () => (await docker(['version'])).code === 0);
    await until('the answer', async () => /^\d+\.\d+/.test(await ci.sh('cat /out 2>/dev/null || true')));
    expect(await ci.sh(ask)).toBe('answered');
  });

  test('asks while its agent is away, and is answered by the next one', async () => {
    await using ci = await runner(hostOf(1));
    await ci.sh('(sleep 1; docker version -f "{{.Server.Version}}" >/out 2>&1) >/dev/null 2>&1 &');
    await killAndWait(hostOf(1));
    await until('the answer', async () => {
      const read = await docker(['exec', ci.name, 'cat', '/out']);
      return /^\d+\.\d+/.test(read.stdout);
    });
  });

  test('ends its connections with itself, and leaves none', async () => {
    const held = (): number[] => [pidOf('gateway'), pidOf(hostOf(1))].map(descriptorsOf);
    await using ci = await runner(hostOf(1));
    await ci.sh('docker ps -q');
    const before = held();
    const above = (): number[] => held().map((now, index) => now - (before[index] ?? 0));
    await dockerOk(['exec', '-d', ci.name, 'sh', '-c', 'for i in $(seq 30); do docker events & done; wait']);
    // Others come and go meanwhile: of the 30 most have to be seen, and none of them left.
    await until('30 followers', async () => above().every((more) => more >= 20));
    await dockerOk(['stop', '-t', '0', ci.name]);
    await until('their end', async () => above().every((more) => more < 10));
    await dockerOk(['start', ci.name]);
    expect(await ci.sh('docker ps -q')).not.toBe('');
  });

  test('can be copied from and to when it has ended', async () => {
    await using ci = await runner(hostOf(1));
    await dockerOk(['stop', '-t', '0', ci.name]);
    const folder = await mkdtemp(join(tmpdir(), 'atoll-e2e-'));
    try {
      await writeFile(join(folder, 'note'), 'a note');
      await dockerOk(['cp', join(folder, 'note'), `${ci.name}:/note`]);
      await dockerOk(['start', ci.name]);
      expect(await ci.sh('cat /note; docker ps -q | head -c 0')).toBe('a note');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('in a cluster that refuses such mounts', () => {
  let cluster: Cluster | undefined;
  beforeAll(async () => {
    cluster = await startCluster(1, ['--socket-mounts', 'refuse']);
    useDockerHost(cluster.dockerHost);
    await dockerOk(['import', '-', 'busybox:latest'], { input: busyboxRootfs() });
  });
  afterAll(async () => {
    useDockerHost(undefined);
    if (cluster) await stopCluster(cluster);
  });

  test.each([
    [SOCKET, ['-v', `${SOCKET}:/s`]],
    ['/run/docker.sock', ['--mount', 'type=bind,source=/run/docker.sock,target=/s']],
  ])('a bind of %s is an error', async (source, args) => {
    const created = await docker(['create', ...args, 'busybox', 'true']);
    expect(created.code).not.toBe(0);
    expect(created.stderr).toContain(
      `bind mount "${source}" is refused: containers of this cluster may not mount the Docker socket`,
    );
    expect(await dockerOk(['ps', '-aq'])).toBe('');
  });

  test('other binds are none', async () => {
    expect(await dockerOk(['run', '--rm', '-v', '/etc/hostname:/name:ro', 'busybox', 'wc', '-l', '/name'])).toBe(
      '1 /name',
    );
  });
});

describe('in user namespaces', () => {
  let cluster: Cluster | undefined;
  beforeAll(async () => {
    cluster = await remappingCluster();
    await buildDockerCliImage(RUNNER);
  });
  afterAll(() => stopRemappingCluster(cluster));

  test("the socket is its root's", async () => {
    await using ci = await runner('');
    expect(await ci.sh(`stat -c '%u:%g %a' ${SOCKET}`)).toBe('0:0 660');
    expect(await ci.sh('docker run --rm busybox echo it works')).toBe('it works');
    const asked = await docker(['exec', '-u', '1000:1000', ci.name, 'docker', 'ps']);
    expect(asked.stderr).toContain('permission denied');
  });
});

const ownPath = (): string => dockerHost().replace('unix://', '');

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, leftovers } from './lib/cluster.ts';
import { docker, dockerOk, runOn, unique } from './lib/docker.ts';
import { remappingCluster, stopRemappingCluster } from './lib/user-namespaces.ts';

let cluster: Cluster;
let folder: string;
beforeAll(async () => {
  cluster = await remappingCluster();
  folder = await mkdtemp(join(tmpdir(), 'atoll-e2e-userns-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await stopRemappingCluster(cluster);
  expect(await leftovers(cluster)).toEqual([]);
});

const MAP = ['busybox', 'cat', '/proc/self/uid_map'];
const MAPPED = /^ *0 +1000000 +65536$/;

describe('a cluster that remaps the ids of containers', () => {
  test('says so, and runs containers in user namespaces', async () => {
    expect(await dockerOk(['info', '--format', '{{json .SecurityOptions}}'])).toContain('name=userns');
    expect(await dockerOk(['run', '--rm', ...MAP])).toMatch(MAPPED);
  });

  test("runs those that ask for the host's with them, and shows what was asked for", async () => {
    expect(await dockerOk(['run', '--rm', '--userns', 'host', ...MAP])).toMatch(/^ *0 +0 +4294967295$/);
    await using own = await runOn('h1', [], ['sleep', '600']);
    await using theirs = await runOn(
      'h1',
      ['--userns=host', '--privileged', '--net=host', '--pid=host'],
      ['sleep', '600'],
    );
    expect(await own.inspect('.HostConfig.UsernsMode')).toBe('');
    expect(await theirs.inspect('.HostConfig.UsernsMode')).toBe('host');
  });

  test.each([
    ['--privileged', /privileged mode is incompatible with user namespaces/],
    ['--network=host', /cannot share the host's network namespace when user namespaces are enabled/],
    ['--pid=host', /cannot share the host PID namespace when user namespaces are enabled/],
  ])('refuses %s before anything is made', async (option, words) => {
    const name = unique('refused');
    const result = await docker(['create', '--name', name, option, 'busybox', 'true']);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(words);
    expect(await dockerOk(['ps', '-aq', '--filter', `name=${name}`])).toBe('');
  });

  test('copies, commits, exports, executes, lists and publishes as any other', async () => {
    const volume = unique('vol');
    const script = 'touch /made /data/made; chown 33:44 /made /data/made; exec httpd -f -p 80';
    await using container = await runOn('h1', ['-v', `${volume}:/data`, '-p', '80'], ['sh', '-c', script]);
    await writeFile(join(folder, 'f'), 'copied');
    await dockerOk(['cp', join(folder, 'f'), `${container.name}:/data/f`]);
    const look = ['stat', '-c', '%u:%g', '/data/f', '/data/made', '/made'];
    expect(await dockerOk(['exec', container.name, ...look])).toBe('0:0\n33:44\n33:44');
    expect(await dockerOk(['exec', '-u', 'www', container.name, 'id', '-u'])).toBe('33');
    expect(await dockerOk(['top', container.name, '-o', 'pid,uid,args'])).toContain('1000000');
    expect(await dockerOk(['diff', container.name])).toContain('A /made');
    const image = unique('committed');
    await dockerOk(['commit', container.name, image]);
    expect(await dockerOk(['run', '--rm', '--userns=host', image, 'stat', '-c', '%u:%g', '/made'])).toBe('33:44');
    expect(await dockerOk(['port', container.name])).toMatch(/^80\/tcp -> /);
    await dockerOk(['rmi', image]);
  });

  test('builds in user namespaces too', async () => {
    const image = unique('built');
    await writeFile(
      join(folder, 'Dockerfile'),
      'FROM busybox\nRUN grep -q " 1000000 " /proc/self/uid_map\nCOPY --chown=33:44 f /f\nRUN stat -c %u:%g /f >/owner; chown 5:6 /f\n',
    );
    await writeFile(join(folder, 'f'), 'built');
    await dockerOk(['build', '-t', image, folder]);
    expect(await dockerOk(['run', '--rm', '--userns=host', image, 'sh', '-c', 'cat /owner; stat -c %u:%g /f'])).toBe(
      '33:44\n5:6',
    );
    await dockerOk(['rmi', image]);
  });
});

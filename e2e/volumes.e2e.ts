import { describe, expect, inject, test } from 'vitest';
import { DockerStream, docker, dockerOk, unique } from './lib/docker.ts';

const hosts = inject('hosts');
const [, h2 = ''] = hosts;
const IMAGE = 'busybox';

/** A volume that is gone at the end of the scope, with whatever uses it. */
class TestVolume implements AsyncDisposable {
  readonly name = unique('vol');
  async [Symbol.asyncDispose](): Promise<void> {
    const users = (await dockerOk(['ps', '-aq', '--filter', `volume=${this.name}`])).split('\n').filter(Boolean);
    if (users.length > 0) await docker(['rm', '-f', ...users]);
    await docker(['volume', 'rm', '-f', this.name]);
  }
}

const names = async (...filters: string[]): Promise<string[]> =>
  (await dockerOk(['volume', 'ls', '-q', ...filters.flatMap((filter) => ['--filter', filter])])).split('\n');
const sh = (volume: string, script: string, more: readonly string[] = []) =>
  dockerOk(['run', '--rm', '-v', `${volume}:/v`, ...more, IMAGE, 'sh', '-c', script]);

const since = (): string => String(Math.floor(Date.now() / 1000) - 1);

describe('docker volume', () => {
  test('create, ls, inspect, rm; in use it stays', async () => {
    await using volume = new TestVolume();
    expect(await dockerOk(['volume', 'create', '--label', 'tier=db', volume.name])).toBe(volume.name);
    expect(await dockerOk(['volume', 'create', volume.name])).toBe(volume.name);
    const [shown] = JSON.parse(await dockerOk(['volume', 'inspect', volume.name])) as Record<string, unknown>[];
    expect(shown).toMatchObject({ Name: volume.name, Driver: 'local', Scope: 'local', Options: null });
    expect(shown).toHaveProperty('Labels.tier', 'db');
    expect(await names('dangling=true', 'label=tier=db')).toContain(volume.name);
    expect(await names('dangling=false')).not.toContain(volume.name);
    const user = await dockerOk(['create', '-v', `${volume.name}:/v`, IMAGE, 'true']);
    expect(await names('dangling=false', `name=${volume.name}`)).toEqual([volume.name]);
    expect((await docker(['volume', 'rm', volume.name])).stderr).toContain(
      `remove ${volume.name}: volume is in use - [${user}]`,
    );
    await dockerOk(['rm', user]);
    await dockerOk(['volume', 'rm', volume.name]);
    const missing = await docker(['volume', 'inspect', volume.name]);
    expect(missing.stderr).toContain(`get ${volume.name}: no such volume`);
  });

  test('data stays with the volume: every container that uses it is sent where it is', async () => {
    await using volume = new TestVolume();
    await dockerOk(['volume', 'create', volume.name]);
    await sh(volume.name, 'echo kept >/v/f', ['-l', `atoll.constraints=node.hostname==${h2}`]);
    for (let round = 0; round < hosts.length; round++) expect(await sh(volume.name, 'cat /v/f')).toBe('kept');
    const place = '{{index .Labels "atoll.node"}} {{.Mountpoint}}';
    expect(await dockerOk(['volume', 'inspect', '-f', place, volume.name])).toMatch(
      new RegExp(`^${h2} /.*/volumes/${volume.name}/_data$`),
    );
    const refused = await docker([
      ...['run', '--rm', '-v', `${volume.name}:/v`, '-l', `atoll.constraints=node.hostname!=${h2}`, IMAGE, 'true'],
    ]);
    expect(refused.stderr).toMatch(new RegExp(`not match volume ${volume.name}, which is on ${h2}`));
  });

  test('a name that nobody created is made by its first use', async () => {
    await using volume = new TestVolume();
    await sh(volume.name, 'echo made >/v/f');
    expect(await names(`name=${volume.name}`)).toEqual([volume.name]);
    expect(await sh(volume.name, 'cat /v/f')).toBe('made');
  });

  test('options of the local driver', async () => {
    await using volume = new TestVolume();
    const options = ['--opt', 'type=tmpfs', '--opt', 'device=tmpfs', '--opt', 'o=size=2m'];
    await dockerOk(['volume', 'create', ...options, volume.name]);
    expect(await sh(volume.name, 'df -k /v | tail -1')).toMatch(/^tmpfs +2048 /);
    expect(await sh(volume.name, 'ls /v')).toBe('');
    expect(await dockerOk(['volume', 'inspect', '-f', '{{json .Options}}', volume.name])).toBe(
      '{"device":"tmpfs","o":"size=2m","type":"tmpfs"}',
    );
  });

  test('what rm leaves behind is listed and pruned; a named one only when all are asked for', async () => {
    await using volume = new TestVolume();
    await dockerOk(['volume', 'create', '--label', `run=${volume.name}`, volume.name]);
    const mount = `type=volume,target=/anonymous,volume-label=run=${volume.name}`;
    const write = ['dd', 'if=/dev/zero', 'of=/anonymous/f', 'bs=64k', 'count=4'];
    const id = await dockerOk(['run', '-d', '--mount', mount, IMAGE, ...write]);
    const source = await dockerOk(['inspect', '-f', '{{(index .Mounts 0).Name}}', id]);
    await dockerOk(['wait', id]);
    await dockerOk(['rm', id]);
    expect(await names('dangling=true')).toContain(source);
    const df = JSON.parse(await dockerOk(['system', 'df', '-v', '--format', '{{json .Volumes}}'])) as {
      Name: string;
      Size: string;
    }[];
    expect(df.find(({ Name }) => Name === source)?.Size).toBe('262.1kB');
    await using events = new DockerStream([
      'events',
      '--since',
      since(),
      '--filter',
      'type=volume',
      '--format',
      '{{.Action}} {{.Actor.ID}}',
    ]);
    const pruned = await dockerOk(['volume', 'prune', '-f', '--filter', `label=run=${volume.name}`]);
    expect(pruned).toContain(source);
    expect(pruned).not.toContain(volume.name);
    await events.saw(`destroy ${source}`);
    expect(await dockerOk(['volume', 'prune', '-af', '--filter', `label=run=${volume.name}`])).toContain(volume.name);
  });

  test('tells of a container that mounts one', async () => {
    await using volume = new TestVolume();
    const format = '{{.Action}} {{index .Actor.Attributes "destination"}}';
    await using events = new DockerStream([
      'events',
      '--since',
      since(),
      '--filter',
      `volume=${volume.name}`,
      '--format',
      format,
    ]);
    await sh(volume.name, 'true');
    for (const line of ['create ', 'mount /v', 'unmount ']) await events.saw(line);
  });

  test.each([
    ['a driver that is not there', ['-d', 'nfs'], /plugin "nfs" not found/],
    ['an option nobody knows', ['--opt', 'size=1m'], /invalid option: "size": the local driver has type, o, device/],
    ['an option alone', ['--opt', 'type=tmpfs'], /missing required option: "device"/],
    ['a file system of the kernel', ['--opt', 'type=proc', '--opt', 'device=proc'], /type=proc is not allowed/],
  ])('refused: %s', async (_name, options, words) => {
    const name = unique('vol');
    const { code, stderr } = await docker(['volume', 'create', ...options, name]);
    expect(code).toBe(1);
    expect(stderr).toMatch(words);
    expect((await docker(['volume', 'inspect', name])).code).toBe(1);
  });

  test('A20: not what holds the data of an agent', async () => {
    await using volume = new TestVolume();
    const options = ['--opt', 'type=none', '--opt', 'o=bind', '--opt', 'device=/'];
    await dockerOk(['volume', 'create', ...options, volume.name]);
    const { code, stderr } = await docker(['run', '--rm', '-v', `${volume.name}:/v`, IMAGE, 'ls', '/v']);
    expect(code).toBe(125);
    expect(stderr).toContain("data of this host's agent");
  });
});

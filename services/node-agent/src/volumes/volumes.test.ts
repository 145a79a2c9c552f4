import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { containerV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestHost } from '../testing/test-host.ts';
import { testLayer } from '../testing/test-image.ts';
import { VolumeStore } from './volume-store.ts';

let host: TestHost;
let folder: string;
beforeAll(async () => {
  host = await TestHost.create();
  folder = await mkdtemp(join(tmpdir(), 'atoll-bind-'));
});
afterAll(async () => {
  await host?.dispose();
  await rm(folder, { recursive: true, force: true });
});

describe('volumes', { timeout: 120_000 }, () => {
  test('a new one begins with what the image has there, and goes with its container when asked', async () => {
    const mounts = [{ type: 'volume', source: 'anon', target: '/data', anonymous: true }];
    const record = host.record(['sh', '-c', 'cat /data/seed; echo more >/data/more'], { mounts });
    const { status, output } = await host.run(record);
    expect(output).toBe('seed\n');
    const path = status.volumePaths['anon'] ?? '';
    expect(await readFile(join(path, 'more'), 'utf8')).toBe('more\n');
    await host.remove(record, { volumes: true });
    expect(existsSync(path)).toBe(false);
  });

  test.each([
    ['a link to a folder of the host', (canary: string) => canary],
    ['a link that climbs', (canary: string) => `../../../../../../../..${canary}`],
  ])('I17: is not filled from the host by %s in the image', async (_name, target) => {
    const canary = join(folder, 'canary');
    await mkdir(canary, { recursive: true });
    await writeFile(join(canary, 'secret'), 'secret');
    const layer = await testLayer(host.registry, (root) => symlink(target(canary), join(root, 'volume')));
    const mounts = [{ type: 'volume', source: 'anon', target: '/volume', anonymous: true }];
    const record = host.record(['sh', '-c', 'find / -name secret; ls -A /volume'], {
      image: { layers: [host.layer, layer] },
      mounts,
    });
    await host.ensure(record);
    const outcome: unknown = await host.start(record).catch((error: unknown) => error);
    if (!(outcome instanceof Error)) {
      await host.scheduler.state(record.id, containerV1.ContainerState.EXITED);
      expect(await host.logs(record.id)).toBe('');
    }
    expect(await readdir(canary)).toEqual(['secret']);
    await host.remove(record, { volumes: true });
  });

  test('a named one outlives its containers, and is not filled again', async () => {
    const mounts = [{ type: 'volume', source: 'named', target: '/data' }];
    const first = host.record(['sh', '-c', 'rm /data/seed; echo kept >/data/x'], { mounts });
    await host.run(first);
    await host.remove(first, { volumes: true });
    const second = host.record(['ls', '/data'], { mounts });
    expect((await host.run(second)).output).toBe('x\n');
    await host.remove(second);
  });

  test('an anonymous one stays as long as another container has it too', async () => {
    const mount = { type: 'volume', source: 'shared', target: '/data', anonymous: true };
    const first = host.record(['true'], { mounts: [mount] });
    const { status } = await host.run(first);
    const path = status.volumePaths['shared'] ?? '';
    const second = host.record(['cat', '/data/seed'], { mounts: [{ ...mount, inherited: true, noCopy: true }] });
    await host.run(second);
    await host.remove(first, { volumes: true });
    expect(existsSync(path)).toBe(true);
    await host.remove(second, { volumes: true });
    expect(existsSync(path)).toBe(false);
  });

  test('a part of one, which cannot lead out of it', async () => {
    const whole = { type: 'volume', source: 'parts', target: '/v' };
    const make = host.record(['sh', '-c', 'mkdir -p /v/a/b; echo part >/v/a/b/f; ln -s /etc /v/out; ln -s a/b /v/in'], {
      mounts: [whole],
    });
    await host.run(make);
    for (const subpath of ['a/b', 'in']) {
      const read = host.record(['cat', '/v/f'], { mounts: [{ ...whole, subpath }] });
      expect((await host.run(read)).output).toBe('part\n');
      await host.remove(read);
    }
    for (const subpath of ['out', 'missing']) {
      const none = host.record(['true'], { mounts: [{ ...whole, subpath }] });
      await host.ensure(none);
      const result = await host.scheduler.tryOrder({ action: nodeV1.Action.START, record: none });
      expect(result.message).toMatch(new RegExp(`${subpath} on /v`));
      await host.remove(none);
    }
    await host.remove(make);
  });

  test.each(['', '../x', 'a/b', '.hidden', 'x\0'])('"%s" is no name', (name) => {
    expect(() => new VolumeStore('/v').path(name)).toThrow('includes invalid characters');
  });
});

describe('volumes with driver options', { timeout: 120_000 }, () => {
  const mounted = async (folder: string): Promise<boolean> =>
    (await readFile('/proc/self/mountinfo', 'utf8')).includes(` ${folder} `);
  const removeVolume = async (volume: string): Promise<void> => {
    const result = await host.scheduler.tryOrder({ action: nodeV1.Action.REMOVE_VOLUME, volume });
    expect(result).toMatchObject({ code: 0, message: '' });
  };
  const memory = {
    type: 'volume',
    source: 'memory',
    target: '/v',
    volumeOptions: { type: 'tmpfs', device: 'tmpfs', o: 'size=1m' },
  };

  test('one mount for all containers that have it at the same time, gone after the last', async () => {
    const writer = host.record(['sh', '-c', 'echo shared >/v/f; sleep 60'], { mounts: [memory] });
    await host.start(writer);
    const reader = host.record(['sh', '-c', 'until cat /v/f 2>/dev/null; do sleep 0.1; done; df -k /v | tail -1'], {
      mounts: [memory],
    });
    const { output, status } = await host.run(reader);
    expect(output).toMatch(/^shared\n.* 1024 /);
    const folder = status.volumePaths['memory'] ?? '';
    await host.remove(reader);
    expect(await mounted(folder)).toBe(true);
    await host.killAgent();
    await host.startAgent();
    await host.remove(writer);
    expect(await mounted(folder)).toBe(false);
    const later = host.record(['ls', '/v'], { mounts: [memory] });
    expect((await host.run(later)).output).toBe('');
    await host.remove(later);
    await removeVolume('memory');
    expect(existsSync(folder)).toBe(false);
  });

  test('a folder of the host', async () => {
    await writeFile(join(folder, 'f'), 'host\n');
    const options = { type: 'none', o: 'bind', device: folder };
    const mount = { type: 'volume', source: 'bound', target: '/v', volumeOptions: options };
    const record = host.record(['sh', '-c', 'cat /v/f; echo in >/v/out'], { mounts: [mount] });
    expect((await host.run(record)).output).toBe('host\n');
    expect(await readFile(join(folder, 'out'), 'utf8')).toBe('in\n');
    await host.remove(record);
    await removeVolume('bound');
    expect(existsSync(join(folder, 'out'))).toBe(true);
  });

  test.each([
    ["A20: the agent's own data", { type: 'none', o: 'bind', device: '' }, "data of this host's agent"],
    ['A20: what holds it', { type: 'none', o: 'bind', device: '/' }, "data of this host's agent"],
    ['what mount refuses', { type: 'tmpfs', device: 'x', o: 'no-such-option=1' }, 'failed to mount local volume'],
    ['a file system of the kernel', { type: 'proc', device: 'proc' }, 'type=proc is not allowed'],
  ])('refused: %s', async (_name, options, words) => {
    const volumeOptions = { ...options, device: options.device || host.dataRoot };
    const record = host.record(['true'], { mounts: [{ type: 'volume', source: 'no', target: '/v', volumeOptions }] });
    await host.ensure(record);
    const result = await host.scheduler.tryOrder({ action: nodeV1.Action.START, record });
    expect(result.message).toContain(words);
    await host.remove(record);
  });

  test('a volume in use is not removed; one that is not there is fine', async () => {
    const record = host.record(['true'], { mounts: [{ type: 'volume', source: 'busy', target: '/v' }] });
    await host.run(record);
    const order = { action: nodeV1.Action.REMOVE_VOLUME, volume: 'busy' };
    expect((await host.scheduler.tryOrder(order)).message).toBe('remove busy: volume is in use');
    await host.remove(record);
    expect((await host.scheduler.tryOrder(order)).code).toBe(0);
    expect((await host.scheduler.tryOrder(order)).code).toBe(0);
  });
});

describe('images as mounts', { timeout: 120_000 }, () => {
  test('are read only, also in part', async () => {
    const image = { reference: 'x', layers: [host.layer] };
    const mounts = [
      { type: 'image', source: 'x', target: '/whole', image },
      { type: 'image', source: 'x', target: '/part', image, subpath: 'data' },
    ];
    const record = host.record(
      ['sh', '-c', 'cat /whole/data/seed /part/seed; touch /whole/x /part/y 2>&1 | grep -c Read-only'],
      { mounts },
    );
    expect((await host.run(record)).output).toBe('seed\nseed\n2\n');
    await host.remove(record);
  });
});

describe('binds and tmpfs', { timeout: 120_000 }, () => {
  test('a folder of the host, read-only when asked; a missing one is made', async () => {
    await writeFile(join(folder, 'f'), 'host\n');
    const missing = join(folder, 'a/b');
    const mounts = [
      { type: 'bind', source: folder, target: '/host', readOnly: true },
      { type: 'bind', source: missing, target: '/made' },
      { type: 'tmpfs', source: '', target: '/mem', options: 'size=1m,mode=1700' },
    ];
    const script = 'cat /host/f; touch /host/g 2>/dev/null || echo read-only; echo in >/made/out; stat -c %a /mem';
    const record = host.record(['sh', '-c', script], { mounts });
    expect((await host.run(record)).output).toBe('host\nread-only\n1700\n');
    expect(await readFile(join(missing, 'out'), 'utf8')).toBe('in\n');
    expect((await stat(missing)).isDirectory()).toBe(true);
    await host.remove(record);
  });

  test.each([
    ["the agent's own data", () => host.dataRoot, '/x', "data of this host's agent"],
    ['what holds it', () => '/', '/x', "data of this host's agent"],
    ['a relative path', () => 'x', '/x', 'must be absolute'],
    ['onto the root', () => folder, '/', 'must be an absolute path, not /'],
    ['onto /proc', () => folder, '/proc/sys', 'not /, /proc or /sys'],
  ])('refused: %s', async (_name, source, target, words) => {
    const record = host.record(['true'], { mounts: [{ type: 'bind', source: source(), target }] });
    await host.ensure(record);
    const result = await host.scheduler.tryOrder({ action: nodeV1.Action.START, record });
    expect(result.message).toContain(words);
    await host.remove(record);
  });
});

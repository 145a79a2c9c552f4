import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestHost } from '../testing/test-host.ts';
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

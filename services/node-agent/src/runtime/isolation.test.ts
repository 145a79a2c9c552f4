import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultMounts } from './default-mounts.ts';
import { TestHost } from './testing/test-host.ts';

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
});
afterAll(async () => {
  const left = await host.leftovers();
  await host[Symbol.asyncDispose]();
  expect(left).toEqual([]);
});

describe('isolation', () => {
  it.each(['/proc/kcore', '/proc/keys', '/proc/timer_list', '/proc/interrupts', '/sys/firmware'])(
    'masks %s',
    async (path) => {
      const result = await host.run([
        'sh',
        '-c',
        `if [ -d ${path} ]; then ls -A ${path}; else cat ${path}; fi; probe open ${path} w`,
      ]);
      expect(result.stdout.trim()).toMatch(/^(EROFS|EACCES|EISDIR|ENOENT|ok)$/);
      expect(result.stdout.trim().split('\n')).toHaveLength(1);
    },
  );

  it.each([
    '/proc/sys/kernel/core_pattern',
    '/proc/sysrq-trigger',
    '/sys/kernel/uevent_helper',
    '/sys/fs/cgroup/memory/memory.limit_in_bytes',
    '/sys/fs/cgroup/devices/devices.allow',
  ])('refuses to open %s for writing', async (path) => {
    expect((await host.run(['probe', 'open', path, 'w'])).stdout.trim()).toMatch(/^(EROFS|EACCES|ENOENT)$/);
  });

  it.each([
    ['c', '1', '3', 'ok'],
    ['c', '1', '9', 'ok'],
    ['c', '1', '1', 'EPERM'],
    ['c', '10', '229', 'EPERM'],
    ['b', '254', '0', 'EPERM'],
    ['b', '8', '0', 'EPERM'],
    ['b', '7', '0', 'EPERM'],
  ])('opens the device %s %s:%s only when it is a default one', async (type, major, minor, wanted) => {
    expect((await host.run(['probe', 'device', type, major, minor], { process: { cwd: '/tmp' } })).stdout.trim()).toBe(
      wanted,
    );
  });

  it.each(Array.from({ length: 20 }, (_, fd) => `/proc/self/fd/${fd}`))(
    'refuses %s as working directory',
    async (cwd) => {
      await expect(host.run(['true'], { process: { cwd } })).rejects.toMatchObject({
        details: { step: 'enter working directory' },
      });
    },
  );

  it('refuses a working directory that an image link leads to a descriptor', async () => {
    await host.withLayer({ work: '/proc/self/fd/5' }, async (plan) => {
      await expect(host.run(['true'], { ...plan, process: { cwd: '/work' } })).rejects.toMatchObject({
        details: { step: 'enter working directory' },
      });
    });
  });

  it('masks with its own null device whatever the image has as /dev/null', async () => {
    const result = await host.run([
      'sh',
      '-c',
      'stat -c %t:%T /proc/kcore 2>/dev/null || echo gone; stat -c %F /proc/keys',
    ]);
    expect(result.stdout).toContain('character special file');
    const without = defaultMounts({ privileged: false, shmBytes: 1 << 20 }).filter(
      ({ target }) => !target.startsWith('/dev'),
    );
    await mkdir(join(host.layer, 'dev'), { recursive: true });
    await writeFile(join(host.layer, 'dev/null'), 'trap');
    try {
      const weak = await host.run(['sh', '-c', 'cat /proc/keys; stat -c "%F %t:%T" /proc/keys'], {
        plan: { mounts: without, devices: [], devLinks: [] },
      });
      expect(weak.stdout).toBe('character special file 1:3\n');
    } finally {
      await rm(join(host.layer, 'dev'), { recursive: true });
    }
  });

  it.each(['dev', 'proc', 'sys'])('refuses an image whose /%s is a link, and leaves its target alone', async (name) => {
    const canary = join(host.folder, `canary-${name}`);
    await mkdir(canary, { recursive: true });
    // Out of the root the path does not exist; inside it, it does and is refused for being a link.
    await host.withLayer({ [name]: canary }, async (plan) => {
      await expect(host.run(['true'], plan)).rejects.toMatchObject({ details: { errno: 'ENOENT' } });
    });
    await host.withLayer({ [name]: '/tmp' }, async (plan) => {
      await expect(host.run(['true'], plan)).rejects.toMatchObject({ details: { errno: 'ELOOP' } });
    });
    expect(await readdir(canary)).toEqual([]);
  });

  it.each(['/proc', '/proc/self', '/proc/sys/kernel'])('refuses a bind onto %s', async (target) => {
    const mounts = defaultMounts({ privileged: false, shmBytes: 1 << 20 });
    const bind = {
      kind: 'bind',
      source: host.layer,
      target,
      flags: [],
      recursive: false,
      propagation: 'rprivate',
    } as const;
    await expect(host.run(['true'], { plan: { mounts: [...mounts, bind] } })).rejects.toMatchObject({
      details: { step: 'mount bind' },
    });
  });

  it('cannot get at the host through an absolute link in a bind target', async () => {
    const canary = join(host.folder, 'canary-target');
    await mkdir(canary, { recursive: true });
    await host.withLayer({ out: canary }, async (plan) => {
      const bind = {
        kind: 'bind',
        source: host.layer,
        target: '/out/made',
        flags: [],
        recursive: false,
        propagation: 'rprivate',
      } as const;
      const mounts = [...defaultMounts({ privileged: false, shmBytes: 1 << 20 }), bind];
      await expect(host.run(['ls', '/out/made'], { plan: { ...plan.plan, mounts } })).rejects.toThrow();
    });
    expect(await readdir(canary)).toEqual([]);
  });

  it('executes no program of ours that it could write to', async () => {
    const before = await readFile(host.shim);
    await expect(host.run(['/proc/self/exe'])).resolves.toMatchObject({ exit: { code: 2 } });
    const result = await host.run(['sh', '-c', 'ln -s /proc/self/exe /tmp/x; : > /proc/self/exe; echo $?']);
    expect(result.stdout.trim()).not.toBe('0');
    expect(await readFile(host.shim)).toEqual(before);
  });
});

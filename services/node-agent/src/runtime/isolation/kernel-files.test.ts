import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultMounts } from '../default-mounts.ts';
import { maskedPaths, READONLY_PATHS } from '../masked-paths.ts';
import type { MountPlan } from '../plan.ts';
import { type PlanChanges, TestHost } from '../testing/test-host.ts';
import { USER_NAMESPACE_MODES } from '../testing/user-namespace-modes.ts';
import { WEAK_PLAN } from './weak-plan.ts';

describe.each(USER_NAMESPACE_MODES)('%s user namespaces', (mode) => {
  let host: TestHost;
  beforeAll(async () => {
    host = await TestHost.create(mode);
  });
  afterAll(async () => {
    const left = await host.leftovers();
    await host[Symbol.asyncDispose]();
    expect(left).toEqual([]);
  });

  const MOUNTS = defaultMounts({ privileged: false, shmBytes: 1 << 20 });
  const bind = (source: string, target: string): MountPlan => ({
    kind: 'bind',
    source,
    target,
    flags: [],
    recursive: false,
    propagation: 'rprivate',
  });
  const output = async (argv: readonly string[], changes: PlanChanges = {}): Promise<string> =>
    (await host.run(argv, changes)).stdout.trim();
  const shell = (script: string, changes: PlanChanges = {}): Promise<string> => output(['sh', '-c', script], changes);

  describe('E07: masks that an image tries to provide', () => {
    it('are the null device of the runtime, whatever is at /dev/null', async () => {
      const without = MOUNTS.filter(({ target }) => !target.startsWith('/dev'));
      await mkdir(join(host.layer, 'dev'), { recursive: true });
      await writeFile(join(host.layer, 'dev/null'), 'trap');
      try {
        const script = 'cat /proc/keys; stat -c "%F %t:%T" /proc/keys; echo x >/proc/keys; cat /dev/null';
        expect(await shell(script, { plan: { mounts: without, devices: [], devLinks: [] } })).toBe(
          'character special file 1:3\ntrap',
        );
      } finally {
        await rm(join(host.layer, 'dev'), { recursive: true });
      }
    });
  });

  describe('E09: procfs and sysfs that an image or a volume replaces', () => {
    it.each(['/proc', '/proc/self', '/proc/sys/kernel', '/proc/self/attr'])('a bind onto %s', async (target) => {
      const changes = { plan: { mounts: [...MOUNTS, bind(host.layer, target)] } };
      await expect(host.run(['true'], changes)).rejects.toMatchObject({ details: { step: 'mount bind' } });
    });

    it('a volume instead of /proc: settings are not written into it', async () => {
      const fake = join(host.folder, 'fake-proc');
      await mkdir(join(fake, 'sys/net/ipv4'), { recursive: true });
      await writeFile(join(fake, 'sys/net/ipv4/ip_forward'), 'untouched');
      const mounts = [bind(fake, '/proc'), ...MOUNTS.filter(({ target }) => target !== '/proc')];
      await host.run(['true'], { plan: { mounts, sysctls: { 'net.ipv4.ip_forward': '1' } } }).catch(() => undefined);
      expect(await readFile(join(fake, 'sys/net/ipv4/ip_forward'), 'utf8')).toBe('untouched');
    });

    it('a setting of the container is not one of the host', async () => {
      const path = '/proc/sys/net/ipv4/ip_unprivileged_port_start';
      const before = await readFile(path, 'utf8');
      const changes = { plan: { sysctls: { 'net.ipv4.ip_unprivileged_port_start': '77' } } };
      expect(await output(['cat', path], changes)).toBe('77');
      expect(await readFile(path, 'utf8')).toBe(before);
    });
  });

  describe('E09, E10: system folders that are links', () => {
    it.each(['dev', 'proc', 'sys'])('/%s: refused, and the target is left alone', async (name) => {
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
  });

  describe('E12, E28: kernel files that tell of the host or change it', () => {
    const MASKED = maskedPaths(cpus().length);
    const look = (path: string): string =>
      `if [ -d ${path} ]; then ls -A ${path} | head -n 1; probe access ${path}; elif [ -e ${path} ]; then probe read ${path}; stat -c %t:%T ${path}; else echo missing; fi`;

    it.each(MASKED)('%s is empty', async (path) => {
      expect(await shell(look(path))).toMatch(/^(EROFS|EACCES|empty\n1:3|missing)$/);
    });
    it('control: without masks some of them have content', async () => {
      expect(await shell(MASKED.map(look).join(';'), WEAK_PLAN)).toContain('data');
    });

    it.each([
      ...READONLY_PATHS,
      '/proc/sys/kernel/core_pattern',
      '/proc/sys/vm/drop_caches',
      '/sys',
      '/sys/kernel/uevent_helper',
    ])('%s cannot be written to', async (path) => {
      expect(await output(['probe', 'access', path])).toMatch(/^(EROFS|EACCES|ENOENT)$/);
    });
    // Files of the host's root stay closed to the root of a user namespace, whatever the plan.
    const unguarded = mode === 'with' ? 'EACCES' : 'ok';
    it('control: without the read-only mounts they can be', async () => {
      expect(await output(['probe', 'access', '/proc/sys/kernel/core_pattern'], WEAK_PLAN)).toBe(unguarded);
      expect(await output(['probe', 'access', '/sys'], WEAK_PLAN)).toBe(unguarded);
    });

    it('kernel addresses are hidden', async () => {
      expect(await shell('grep -cv "^0000000000000000" /proc/kallsyms || true')).toMatch(/^0?$/);
    });
  });

  describe('E13, E40: control groups', () => {
    const files = 'release_agent notify_on_release devices.allow cgroup.procs tasks cgroup.subtree_control memory.max';
    const look = `for name in ${files}; do for file in $(find /sys/fs/cgroup -name $name); do probe access $file; done; done | sort -u`;

    it('no file of any hierarchy can be written to', async () => {
      expect(await shell(look)).toBe(mode === 'with' ? 'EACCES' : 'EROFS');
    });
    // Docker shows the whole tree where there is only v2.
    it.skipIf(existsSync('/sys/fs/cgroup/cgroup.controllers'))(
      'those of others are not shown, also in the cgroup namespace of the host',
      async () => {
        const { namespaces } = host.plan('/nowhere', ['true']);
        const plan = { namespaces: { ...namespaces, cgroup: { mode: 'host' } } } as const;
        expect(await shell('cat /sys/fs/cgroup/pids/pids.max; ls -d /sys/fs/cgroup/*/*/', { plan })).toBe('512');
      },
    );
    it('control: with writable mounts they can be', async () => {
      // Nor are its groups those of a user namespace.
      expect(await shell(look, WEAK_PLAN)).toContain(mode === 'with' ? 'EACCES' : 'ok');
    });

    it.each([
      ['unshare of user and cgroup namespaces', ['64', '272', '0x12000000']],
      ['mount', ['64', '165']],
      ['fsopen', ['64', '430']],
      ['move_mount', ['64', '429']],
    ])('%s is refused before the kernel looks at it', async (_name, args) => {
      expect(await output(['probe', ...args])).toBe('EPERM');
    });
    it('control: without the filter the same calls come through', async () => {
      expect(await output(['probe', '64', '272', '0x12000000'], WEAK_PLAN)).toBe('ok');
      expect(await output(['probe', '64', '165'], WEAK_PLAN)).toBe('EFAULT');
    });

    it('a container is in its own group in every hierarchy, an exec too', async () => {
      await host.whileRunning(['sleep', '60'], {}, async (container, plan) => {
        const groups = (text: string) =>
          new Set(
            text
              .trim()
              .split('\n')
              .map((line) => line.split(':')[2]),
          );
        expect(groups(await readFile(`/proc/${container.init.pid}/cgroup`, 'utf8'))).toEqual(
          new Set([plan.cgroup.path]),
        );
        expect(groups((await host.exec(plan, container, ['cat', '/proc/self/cgroup'])).stdout)).toEqual(new Set(['/']));
        expect(groups(await readFile('/proc/self/cgroup', 'utf8'))).not.toContain(plan.cgroup.path);
      });
    });
  });

  describe('E44: mounts', () => {
    const hostMounts = async (): Promise<string[]> =>
      (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter((line) => line.includes(host.folder));

    it.each([
      ['a mount', 'mount -t tmpfs none /tmp 2>&1'],
      ['taking a mask away', 'umount /proc/keys 2>&1'],
      ['making the root shared', 'mount --make-rshared / 2>&1'],
      ['a remount of /proc/sys', 'mount -o remount,rw /proc/sys 2>&1'],
    ])('%s is refused', async (_name, script) => {
      expect(await shell(script)).toMatch(/permission denied|not permitted/i);
    });

    it.each(['rprivate', 'rslave'] as const)(
      'what a privileged container mounts in a %s volume stays there',
      async (propagation) => {
        const source = join(host.folder, `volume-${propagation}`);
        await mkdir(source);
        const before = await hostMounts();
        const mounts = [...WEAK_PLAN.plan.mounts, { ...bind(source, '/vol'), propagation }];
        const changes = { ...WEAK_PLAN, plan: { ...WEAK_PLAN.plan, mounts } };
        await host.whileRunning(
          ['sh', '-c', 'mount -t tmpfs none /vol && echo here >/vol/f; sleep 60'],
          changes,
          async (container, plan) => {
            await expect.poll(async () => (await host.exec(plan, container, ['cat', '/vol/f'])).stdout).toBe('here\n');
            expect(await hostMounts()).toEqual(before);
            expect(await readdir(source)).toEqual([]);
          },
        );
      },
    );
  });
});

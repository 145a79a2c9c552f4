import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_PROFILE } from '../apparmor/default-profile.ts';
import { claimDefaultProfile, releaseDefaultProfile } from '../apparmor/kernel-policy.ts';
import { NOT_APPLICABLE, withProfile } from '../apparmor/testing/apparmor-here.ts';
import { defaultMounts } from './default-mounts.ts';
import { WEAK_PLAN } from './isolation/weak-plan.ts';
import type { ProcessPlan } from './plan.ts';
import { type PlanChanges, TestHost } from './testing/test-host.ts';
import { USER_NAMESPACE_MODES } from './testing/user-namespace-modes.ts';

const OWN = '/proc/self/attr/current';
const CONFINED = `${DEFAULT_PROFILE} (enforce)\n`;

describe.each(USER_NAMESPACE_MODES)('AppArmor profiles, %s user namespaces', { timeout: 120_000 }, (mode) => {
  let host: TestHost;
  beforeAll(async () => {
    host = await TestHost.create(mode);
  });
  afterAll(async () => {
    const left = await host.leftovers();
    await host[Symbol.asyncDispose]();
    expect(left).toEqual([]);
  });

  const changes = (apparmor: string | undefined, process: Partial<ProcessPlan> = {}): PlanChanges => ({
    process: { apparmor, ...process },
  });
  const output = async (argv: readonly string[], given: PlanChanges): Promise<string> =>
    (await host.run(argv, given)).stdout;

  it.skipIf(NOT_APPLICABLE === undefined)('are no silent wish where the kernel has none', async () => {
    await expect(host.run(['true'], changes('web'))).rejects.toMatchObject({
      details: { step: 'set AppArmor profile' },
      message: expect.stringContaining('this kernel has no AppArmor, or it is off'),
    });
    expect(await output(['echo', 'runs'], changes(undefined))).toBe('runs\n');
  });

  it.each(['', ':ns:web', '&web', 'web//&db', 'a b', 'a\nb', 'x'.repeat(256)])(
    'a plan with the name %j is refused',
    async (name) => {
      await expect(host.run(['true'], changes(name))).rejects.toThrow(/malformed name of an AppArmor profile/);
    },
  );

  describe('where the kernel has them', () => {
    beforeAll(async () => {
      if (NOT_APPLICABLE === undefined) await claimDefaultProfile(host.folder);
    });
    afterAll(async () => {
      if (NOT_APPLICABLE === undefined) await releaseDefaultProfile(host.folder);
    });
    beforeEach(({ skip }) => skip(NOT_APPLICABLE !== undefined, NOT_APPLICABLE));

    it.each<[string, string | undefined, string, Partial<ProcessPlan>]>([
      ['of a container', DEFAULT_PROFILE, CONFINED, {}],
      ['with no new privileges', DEFAULT_PROFILE, CONFINED, { noNewPrivileges: true }],
      ['of a user', DEFAULT_PROFILE, CONFINED, { user: { kind: 'docker', user: 'ann' }, noNewPrivileges: true }],
      ['without seccomp', DEFAULT_PROFILE, CONFINED, { seccomp: undefined }],
      ['on a terminal', DEFAULT_PROFILE, CONFINED.replace('\n', '\r\n'), { tty: { rows: 9, cols: 9 } }],
      ['none by name', 'unconfined', 'unconfined\n', {}],
      ['none', undefined, 'unconfined\n', {}],
    ])('%s', async (_name, profile, want, process) => {
      expect(await output(['cat', OWN], changes(profile, process))).toBe(want);
    });

    it('of programs its programs start, and of execs', async () => {
      const given = changes(DEFAULT_PROFILE);
      expect(await output(['sh', '-c', `sh -c "cat ${OWN}"; true`], given)).toBe(CONFINED);
      await host.whileRunning(['sleep', '600'], given, async (container, plan) => {
        const inside = async (process: Partial<ProcessPlan>): Promise<string> =>
          (await host.exec(plan, container, ['cat', OWN], process)).stdout;
        expect(await inside({ apparmor: DEFAULT_PROFILE })).toBe(CONFINED);
        expect(await inside({ apparmor: DEFAULT_PROFILE, noNewPrivileges: true })).toBe(CONFINED);
        expect(await inside({ apparmor: 'unconfined' })).toBe('unconfined\n');
        expect((await host.exec(plan, container, ['cat', '/proc/1/attr/current'], {})).stdout).toBe(CONFINED);
      });
    });

    it("one of the host's own, and no other than that", async () => {
      const name = `atoll-test-${host.cgroup.slice(-12)}`;
      const script = [
        'sh',
        '-c',
        `cat ${OWN}; echo x >/tmp/denied || echo refused; echo x >/tmp/other && echo written`,
      ];
      await withProfile(name, async () => {
        expect(await output(script, changes(name))).toBe(`${name} (enforce)\nrefused\nwritten\n`);
      });
    });

    it('one that is not loaded: the start fails, and so does an exec', async () => {
      await expect(host.run(['true'], changes('atoll-test-none'))).rejects.toMatchObject({
        details: { step: 'set AppArmor profile' },
        message: expect.stringContaining('the AppArmor profile "atoll-test-none" is not loaded on this host'),
      });
      await host.whileRunning(['sleep', '600'], changes(DEFAULT_PROFILE), async (container, plan) => {
        await expect(host.exec(plan, container, ['true'], { apparmor: 'atoll-test-none' })).rejects.toThrow(
          /"atoll-test-none" is not loaded/,
        );
      });
    });

    it('whatever an image has at /proc', async () => {
      for (const path of ['self', 'thread-self']) {
        for (const folder of ['attr', 'attr/apparmor']) {
          await mkdir(join(host.layer, 'proc', path, folder), { recursive: true });
          await writeFile(join(host.layer, 'proc', path, folder, 'exec'), '', { mode: 0o666 });
        }
      }
      try {
        const without = changes(DEFAULT_PROFILE);
        const mounts = defaultMounts({ privileged: false, shmBytes: 1 << 20 }).filter(
          ({ target }) => target !== '/proc',
        );
        const plan = { mounts, maskedPaths: [], readonlyPaths: [] };
        // Without a procfs of its own the container cannot tell: the host can.
        await host.whileRunning(['sleep', '600'], { ...without, plan }, async (container) => {
          expect(await readFile(`/proc/${container.init.pid}/attr/apparmor/current`, 'utf8')).toBe(CONFINED);
        });
        expect(
          await output(['cat', '/proc/self/attr/exec', '/proc/thread-self/attr/apparmor/exec'], { process: {}, plan }),
        ).toBe('');
      } finally {
        await rm(join(host.layer, 'proc'), { recursive: true });
      }
    });

    // What is left when masks, the filter of system calls and limits of capabilities are gone.
    const weak = (apparmor: string): PlanChanges => ({
      process: { ...WEAK_PLAN.process, apparmor },
      plan: WEAK_PLAN.plan,
    });
    const HOSTS = 'not applicable: the kernel gives it to no user namespace';
    it.for<readonly [string, string, string?]>([
      ['a mount', 'mount -t tmpfs none /tmp'],
      ['an unmount', 'umount /dev/mqueue'],
      [
        'a setting of the kernel',
        'cat /proc/sys/kernel/printk_ratelimit >/tmp/old && cat /tmp/old >/proc/sys/kernel/printk_ratelimit',
        HOSTS,
      ],
      ['a setting of its own namespaces', 'echo 1 >/proc/sys/net/ipv4/ip_forward'],
      ['its own host name by a file', 'echo other >/proc/sys/kernel/hostname', HOSTS],
      ['memory of the kernel', 'head -c 1 /proc/kcore', HOSTS],
      ['pages of all', 'dd if=/proc/kpagecount bs=8 count=1', HOSTS],
      ['a magic key', 'echo h >/proc/sysrq-trigger', HOSTS],
      ['a setting of a driver', 'cat /sys/kernel/mm/ksm/run >/tmp/old && cat /tmp/old >/sys/kernel/mm/ksm/run', HOSTS],
      ['the firmware', 'ls /sys/firmware'],
    ])('atoll-default refuses %s, which works without', async ([, script, ofHosts], { skip }) => {
      skip(ofHosts !== undefined && mode === 'with', ofHosts);
      const say = ['sh', '-c', `{ ${script}; } >/dev/null 2>&1 && echo done || echo refused`];
      expect(await output(say, weak('unconfined'))).toBe('done\n');
      expect(await output(say, weak(DEFAULT_PROFILE))).toBe('refused\n');
    });

    it.each([
      ['files', 'echo x >/tmp/file && cat /tmp/file && rm /tmp/file'],
      ['what processes have of their own in /proc', 'echo name >/proc/self/comm && echo 900 >/proc/self/oom_score_adj'],
      ['signals between its processes', '{ sleep 600 & kill $! && ! wait $!; } 2>/dev/null'],
      ['looking at its processes', 'sleep 600 & readlink /proc/$!/exe && cat /proc/$!/environ && kill $!'],
      ['sockets', '[ "$(probe 64 41 1 1 0)$(probe 64 41 2 2 0)" = okok ]'],
    ])('atoll-default leaves %s alone', async (_name, script) => {
      const say = ['sh', '-c', `{ ${script}; } >/dev/null && echo done`];
      expect(await host.run(say, changes(DEFAULT_PROFILE))).toMatchObject({ stdout: 'done\n', stderr: '' });
    });

    it('atoll-default keeps off processes beside the container', async ({ skip }) => {
      skip(mode === 'with', 'not applicable: its processes are never those of the host');
      const beside: PlanChanges = {
        ...changes(DEFAULT_PROFILE),
        plan: WEAK_PLAN.plan,
      };
      const hostPids = {
        plan: { ...beside.plan, namespaces: { ...host.plan('', ['true']).namespaces, pid: { mode: 'host' as const } } },
      };
      const script = `kill -0 ${process.pid} 2>/dev/null && echo signal; readlink /proc/${process.pid}/exe >/dev/null && echo look; echo end`;
      const run = (apparmor: string): Promise<string> =>
        output(['sh', '-c', script], { ...hostPids, process: { ...WEAK_PLAN.process, apparmor } });
      expect(await run('unconfined')).toBe('signal\nlook\nend\n');
      expect(await run(DEFAULT_PROFILE)).toBe('end\n');
    });

    it('signals of the host arrive', async () => {
      await host.whileRunning(['sleep', '600'], changes(DEFAULT_PROFILE), async (container) => {
        expect(process.kill(container.init.pid, 0)).toBe(true);
        await container.client.kill(15, 'init', host.signal);
        await container.client.kill(9, 'all', host.signal);
      });
    });
  });
});

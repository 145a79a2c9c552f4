import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capabilitySets, resolveCapabilities } from '../capabilities.ts';
import { DEFAULT_DEVICES } from '../default-mounts.ts';
import type { DeviceNode } from '../plan.ts';
import { dockerSeccompProgram } from '../seccomp/docker-seccomp.ts';
import { buildProbe } from '../testing/shim-binary.ts';
import { type PlanChanges, TestHost } from '../testing/test-host.ts';
import { listTree } from '../testing/tree-listing.ts';
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

  /** CLONE_NEW* (linux/sched.h). */
  const NAMESPACES = [
    ['mount', 0x00020000],
    ['cgroup', 0x02000000],
    ['uts', 0x04000000],
    ['ipc', 0x08000000],
    ['user', 0x10000000],
    ['pid', 0x20000000],
    ['network', 0x40000000],
  ] as const;

  describe('E20 to E23, E26: system calls', () => {
    const EPERM = 'EPERM';
    it.each([
      ['mount', ['64', '165'], EPERM],
      ['setns', ['64', '308'], EPERM],
      ['clone3', ['64', '435'], 'ENOSYS'],
      ['bpf', ['64', '321'], EPERM],
      ['keyctl', ['64', '250'], EPERM],
      ['add_key', ['64', '248'], EPERM],
      ['request_key', ['64', '249'], EPERM],
      ['userfaultfd', ['64', '323'], EPERM],
      ['io_uring_setup', ['64', '425'], EPERM],
      ['open_by_handle_at', ['64', '304'], EPERM],
      ['a socket of AF_VSOCK', ['64', '41', '40', '1'], EPERM],
      ['a socket of AF_ALG', ['64', '41', '38', '5'], EPERM],
      ['personality with an odd flag', ['64', '135', '0x0400000'], EPERM],
      ['personality with a known one', ['64', '135', '0xffffffff'], 'ok'],
      ['a socket of AF_UNIX', ['64', '41', '1', '1'], 'ok'],
      ['a number no kernel has', ['64', '900'], 'ENOSYS'],
      ['getpid through x32', ['64', '0x40000027'], EPERM],
    ])('%s', async (_name, args, wanted) => {
      expect((await host.run(['probe', ...args])).stdout.trim()).toBe(wanted);
    });

    it.each(NAMESPACES)('unshare, clone and clone3 of a new %s namespace', async (_name, flag) => {
      expect((await host.run(['probe', '64', '272', `${flag}`])).stdout.trim()).toBe(EPERM);
      expect((await host.run(['probe', '64', '56', `${flag + 17}`])).stdout.trim()).toBe(EPERM);
      expect((await host.run(['probe', '64', '435', `${flag}`])).stdout.trim()).toBe('ENOSYS');
    });
    it.each(NAMESPACES)(
      'control: without the filter and with all capabilities unshare of a %s namespace works',
      async (_name, flag) => {
        expect((await host.run(['probe', '64', '272', `${flag}`], WEAK_PLAN)).stdout.trim()).toBe('ok');
      },
    );

    it.each([
      ['a socket of AF_VSOCK', ['64', '41', '40', '1']],
      ['add_key', ['64', '248']],
      ['userfaultfd', ['64', '323', '1']],
      ['io_uring_setup', ['64', '425']],
      ['open_by_handle_at', ['64', '304', '-100']],
    ])('control: without the filter %s is not refused', async (_name, args) => {
      expect((await host.run(['probe', ...args], WEAK_PLAN)).stdout.trim()).not.toBe(EPERM);
    });
    it('open_by_handle_at needs more than its capability is given by default', async () => {
      const names = resolveCapabilities(['DAC_READ_SEARCH'], []);
      const process = { capabilities: capabilitySets(names), seccomp: dockerSeccompProgram(names) };
      expect((await host.run(['probe', '64', '304', '-100'], { process })).stdout.trim()).not.toBe(EPERM);
      expect(resolveCapabilities([], [])).not.toContain('DAC_READ_SEARCH');
    });

    // A kernel may have the i386 entry switched off: then it is a fault for everybody, filter or not.
    it.each([
      ['mount through i386', ['32', '21'], EPERM],
      ['a socket of AF_ALG through i386', ['32', '359', '38', '5'], EPERM],
      ['socketcall for a socket through i386', ['32', '102', '1'], EPERM],
      ['getpid through i386', ['32', '20'], 'ok'],
      ['clone of a user namespace through i386', ['32', '120', '0x10000011'], EPERM],
    ])('%s, where there is i386 at all', async (_name, args, wanted) => {
      const hasI386 = spawnSync(buildProbe(), ['32', '20']).signal === null;
      const result = await host.run(['probe', ...args]);
      expect(hasI386 ? result.stdout.trim() : result.exit.signal).toBe(hasI386 ? wanted : 11);
    });

    it('let mount reach the kernel when the container has SYS_ADMIN', async () => {
      const names = resolveCapabilities(['SYS_ADMIN'], []);
      const process = { capabilities: capabilitySets(names), seccomp: dockerSeccompProgram(names) };
      expect((await host.run(['probe', '64', '165'], { process })).stdout.trim()).not.toBe(EPERM);
    });
  });

  describe('E21: files of a layer', () => {
    it('are the same after a container has changed them all', async () => {
      const before = listTree(host.layer);
      const script = 'for f in /etc/* /bin/probe; do echo new >$f; chmod 7777 $f; done; rm -r /home; cat /etc/passwd';
      expect((await host.run(['sh', '-c', script])).stdout).toBe('new\n');
      expect(listTree(host.layer)).toEqual(before);
    });
  });

  describe('E24: devices', () => {
    const DEFAULTS = new Set(['c 1:3', 'c 1:5', 'c 1:7', 'c 1:8', 'c 1:9', 'c 5:0', 'c 5:1', 'c 5:2']);
    const open = async (names: readonly string[], changes = {}): Promise<Map<string, string>> => {
      const script = names.map((name) => `echo "${name} $(probe device ${name.replace(':', ' ')})"`).join(';');
      const { stdout } = await host.run(['sh', '-c', script], { process: { cwd: '/tmp' }, ...changes });
      return new Map(
        stdout
          .trim()
          .split('\n')
          .map((line) => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]),
      );
    };

    async function hostDevices(): Promise<string[]> {
      const [chars = '', blocks = ''] = (await readFile('/proc/devices', 'utf8')).split('Block devices:');
      const majors = (text: string): string[] => [...text.matchAll(/^ *(\d+) /gm)].map((match) => match[1] ?? '');
      return [...majors(chars).map((major) => `c ${major}:0`), ...majors(blocks).map((major) => `b ${major}:0`)];
    }

    /** Nodes that the plan brings, for where a container can make none. */
    const openGiven = async (names: readonly string[], changes: PlanChanges = {}): Promise<string[]> => {
      const devices = names.map((name, index): DeviceNode => {
        const [, type = '', major, minor] = /^(.) (\d+):(\d+)$/.exec(name) ?? [];
        const numbers = { major: Number(major), minor: Number(minor), mode: 0o666, uid: 0, gid: 0 };
        return { path: `/dev/given${index}`, type: type === 'b' ? 'b' : 'c', ...numbers };
      });
      const script = 'for node in /dev/given*; do probe open $node r; done';
      const plan = { devices: [...DEFAULT_DEVICES, ...devices], ...changes.plan };
      return (await host.run(['sh', '-c', script], { ...changes, plan })).stdout.trim().split('\n');
    };

    it('of the host cannot be opened, not even given ones', async () => {
      const names = (await hostDevices()).filter((name) => !name.startsWith('c 136:') && !DEFAULTS.has(name));
      const outcomes = await openGiven(names);
      expect(outcomes.length).toBe(names.length);
      expect(new Set(outcomes)).toEqual(new Set(['EPERM']));
    });
    it('control: without rules a given one opens', async () => {
      const { cgroup } = host.plan('/nowhere', ['true']);
      expect(await openGiven(['c 10:229'], { plan: { cgroup: { ...cgroup, deviceRules: [] } } })).toEqual(['ok']);
    });

    it(mode === 'with' ? 'of the host cannot even be made' : 'of the host can be made, and not opened', async () => {
      // The terminals of major 136 are those of the container's own devpts.
      const names = [...(await hostDevices()), 'c 1:1', 'c 1:11', 'c 10:200', 'c 10:229'].filter(
        (name) => !name.startsWith('c 136:'),
      );
      const outcomes = await open(names.filter((name) => !DEFAULTS.has(name)));
      expect(outcomes.size).toBeGreaterThan(8);
      expect(new Set(outcomes.values())).toEqual(new Set(['EPERM']));
    });

    it('that every container has can be', async () => {
      const script = 'for name in null zero full random urandom; do probe open /dev/$name rw; done; cat /dev/tty';
      expect((await host.run(['sh', '-c', script])).stdout).toBe('ok\n'.repeat(5));
    });

    it('that every container has can be made anew', async ({ skip }) => {
      skip(mode === 'with', 'not applicable: no node can be made in a user namespace');
      const outcomes = await open([...DEFAULTS]);
      expect([...outcomes.values()].filter((outcome) => outcome === 'EPERM')).toEqual([]);
      expect(outcomes.get('c 1:3')).toBe('ok');
    });

    it('control: without rules the memory of the host opens', async ({ skip }) => {
      skip(mode === 'with', 'not applicable: no node can be made in a user namespace');
      const { cgroup } = host.plan('/nowhere', ['true']);
      const changes = {
        process: { ...WEAK_PLAN.process, cwd: '/tmp' },
        plan: { cgroup: { ...cgroup, deviceRules: [] } },
      };
      expect([...(await open(['c 10:229', 'c 1:11'], changes)).values()]).not.toContain('EPERM');
    });
  });
});

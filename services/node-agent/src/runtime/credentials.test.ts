import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CAPABILITY_NAMES, capabilitySets, resolveCapabilities } from './capabilities.ts';
import type { ProcessPlan } from './plan.ts';
import { shimKind } from './testing/shim-binary.ts';
import { TestHost } from './testing/test-host.ts';
import { TEST_IDS, USER_NAMESPACE_MODES } from './testing/user-namespace-modes.ts';

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

  const EVERY_CAPABILITY = capabilitySets(CAPABILITY_NAMES).bounding.toString(16).padStart(16, '0');

  /** The bounding set of the tests' own process: nobody can give more. */
  async function ownBounding(): Promise<string> {
    return /^CapBnd:\t(.*)$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1] ?? '';
  }

  describe('E16 to E19: credentials', () => {
    const status = ['sh', '-c', 'grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status'];
    const fields = (text: string): Record<string, string> =>
      Object.fromEntries(
        text
          .trim()
          .split('\n')
          .map((line) => line.split(':\t') as [string, string]),
      );
    const docker = '00000000a80425fb';
    const none = '0000000000000000';

    it.each([
      [
        'root',
        {},
        { CapBnd: docker, CapEff: docker, CapPrm: docker, CapInh: none, CapAmb: none, NoNewPrivs: '0', Seccomp: '2' },
      ],
      [
        'a user',
        { user: { kind: 'ids', uid: 1000, gid: 1000 } },
        { CapBnd: docker, CapEff: none, CapPrm: none, CapInh: none, CapAmb: none },
      ],
      ['no new privileges', { noNewPrivileges: true }, { CapEff: docker, NoNewPrivs: '1', Seccomp: '2' }],
      ['no seccomp', { seccomp: undefined }, { Seccomp: '0' }],
      [
        'all capabilities dropped',
        { capabilities: capabilitySets(resolveCapabilities([], ['ALL'])) },
        { CapBnd: none, CapEff: none },
      ],
    ] as const)('are exact for %s', async (_name, process, wanted) => {
      expect(fields((await host.run(status, { process })).stdout)).toMatchObject(wanted);
    });

    it('are exact for execs: of root, of a user, of a privileged one', async () => {
      // Of its own things a user namespace has all there are; the agent's plans give no more than the agent has.
      const all = mode === 'with' ? EVERY_CAPABILITY : await ownBounding();
      await host.whileRunning(['sleep', '60'], {}, async (container, plan) => {
        const of = async (process: Partial<ProcessPlan>) =>
          fields((await host.exec(plan, container, status, process)).stdout);
        const clean = { CapInh: none, CapAmb: none };
        expect(await of({})).toMatchObject({ CapBnd: docker, CapEff: docker, CapPrm: docker, ...clean });
        expect(await of({ user: { kind: 'docker', user: 'ann' } })).toMatchObject({
          CapBnd: docker,
          CapEff: none,
          CapPrm: none,
          ...clean,
        });
        const process = { capabilities: capabilitySets(CAPABILITY_NAMES), seccomp: undefined };
        expect(await of(process)).toMatchObject({ CapBnd: all, CapEff: all, CapPrm: all, ...clean, Seccomp: '0' });
      });
    });
    it('control: inheritable and ambient ones are seen when a plan has them', async () => {
      const sets = capabilitySets(['KILL']);
      const process = { capabilities: { ...sets, inheritable: sets.bounding, ambient: sets.bounding } };
      expect(fields((await host.run(status, { process })).stdout)).toMatchObject({
        CapInh: '0000000000000020',
        CapAmb: '0000000000000020',
      });
    });

    it.each([
      ['', '0 0 0 10'],
      ['root', '0 0 0 10'],
      ['ann', '1000 1001 1001 29 44'],
      ['ann:audio', '1000 29 29'],
      ['1000', '1000 1001 1001 29 44'],
      ['1000:', '1000 1001 1001 29 44'],
      ['4242', '4242 0 0'],
      ['4242:44', '4242 44 44'],
      ['2147483647', '2147483647 0 0'],
    ])('resolve the user "%s"', async (user, wanted) => {
      if (mode === 'with' && Number(user) >= TEST_IDS.size) {
        const refused = host.run(['true'], { process: { user: { kind: 'docker', user } } });
        await expect(refused).rejects.toThrow(/is not one of the 65536 ids of the container's user namespace/);
        return;
      }
      const result = await host.run(['sh', '-c', 'echo $(id -u) $(id -g) $(id -G)'], {
        process: { user: { kind: 'docker', user } },
      });
      expect(result.stdout.trim()).toBe(wanted);
    });

    it.each(['-1', '4294967296', '2147483648', '01', ' 1', '+1', '1.0', 'ann:nobody', 'root:-1', '0x0'])(
      'refuse the user "%s"',
      async (user) => {
        await expect(host.run(['true'], { process: { user: { kind: 'docker', user } } })).rejects.toMatchObject({
          details: { step: 'resolve user' },
        });
      },
    );

    it('are the same for an exec, and refused the same', async () => {
      await host.whileRunning(['sleep', '60'], {}, async (container, plan) => {
        const ids = async (user: string) =>
          (
            await host.exec(plan, container, ['sh', '-c', 'echo $(id -u) $(id -G)'], { user: { kind: 'docker', user } })
          ).stdout.trim();
        expect(await ids('1000')).toBe('1000 1001 29 44');
        expect(await ids('ann:audio')).toBe('1000 29');
        for (const user of ['-1', '4294967296', '01', ' 1', 'root:-1']) {
          await expect(ids(user)).rejects.toMatchObject({ details: { step: 'resolve user' } });
        }
      });
    });

    it.each([
      ['a group file of 2 GiB', async (path: string) => truncate(path, 2 ** 31), 'EFBIG'],
      ['a line of 2 MiB', (path: string) => writeFile(path, `many:x:7:${'ann,'.repeat(1 << 19)}`), 'EFBIG'],
      [
        'a million groups',
        (path: string) => writeFile(path, Array.from({ length: 1 << 20 }, (_, gid) => `g:x:${gid}:ann\n`).join('')),
        'E2BIG',
      ],
    ] as const)('come from files in bounded memory: %s', async (_name, fill, errno) => {
      const root = await mkdtemp(join(host.folder, 'root-'));
      await mkdir(join(root, 'etc'));
      await copyFile(join(host.layer, 'etc/passwd'), join(root, 'etc/passwd'));
      await writeFile(join(root, 'etc/group'), '');
      await fill(join(root, 'etc/group'));
      // The address space itself is limited, which the sanitizers cannot do with.
      const limit = shimKind() === 'asan' ? [] : ['--as=33554432'];
      const result = spawnSync('prlimit', [...limit, host.shim, 'resolve-user', '--root', root, 'ann'], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'] },
      });
      expect(result.stderr).toContain(`"errno":"${errno}"`);
      await rm(root, { recursive: true });
    });

    it('take HOME from passwd unless the environment has it', async () => {
      const run = async (env: string[]) =>
        (
          await host.run(['sh', '-c', 'echo $HOME'], { process: { user: { kind: 'docker', user: 'ann' }, env } })
        ).stdout.trim();
      expect(await run(['PATH=/bin'])).toBe('/home/ann');
      expect(await run(['PATH=/bin', 'HOME=/x'])).toBe('/x');
    });

    it('never follow a passwd link out of the root', async () => {
      const canary = join(host.folder, 'canary-passwd');
      await writeFile(canary, 'mallory:x:0:0::/:/bin/sh\n');
      await host.withLayer({ 'etc/passwd': canary }, async (plan) => {
        await expect(
          host.run(['true'], { ...plan, process: { user: { kind: 'docker', user: 'mallory' } } }),
        ).rejects.toMatchObject({
          details: { step: 'resolve user' },
        });
      });
    });
  });
});

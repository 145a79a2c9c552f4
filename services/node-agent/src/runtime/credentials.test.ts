import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capabilitySets, resolveCapabilities } from './capabilities.ts';
import { dockerSeccompProgram } from './seccomp/docker-seccomp.ts';
import { buildProbe } from './testing/shim-binary.ts';
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

describe('credentials', () => {
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

describe('system calls', () => {
  const EPERM = 'EPERM';
  it.each([
    ['mount', ['64', '165'], EPERM],
    ['unshare of a user namespace', ['64', '272', '0x10000000'], EPERM],
    ['setns', ['64', '308'], EPERM],
    ['clone of a user namespace', ['64', '56', '0x10000011'], EPERM],
    ['clone3', ['64', '435'], 'ENOSYS'],
    ['bpf', ['64', '321'], EPERM],
    ['keyctl', ['64', '250'], EPERM],
    ['add_key', ['64', '248'], EPERM],
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

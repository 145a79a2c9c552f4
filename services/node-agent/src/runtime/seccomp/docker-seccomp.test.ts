import { describe, expect, it } from 'vitest';
import { CAPABILITY_NAMES, DOCKER_CAPABILITIES } from '../capabilities.ts';
import { ARCHITECTURE, judge, numberOf } from '../testing/judge-seccomp.ts';
import { dockerSeccompProgram } from './docker-seccomp.ts';
import { SYSCALL_NAMES, type SyscallAbi } from './syscall-table.ts';

const docker = dockerSeccompProgram(new Set(DOCKER_CAPABILITIES));

describe("Docker's seccomp program", () => {
  it.each([
    ['x86_64', 'read', [], 'allow'],
    ['x86_64', 'write', [], 'allow'],
    ['x86_64', 'execve', [], 'allow'],
    ['x86_64', 'chroot', [], 'allow'],
    ['x86_64', 'mseal', [], 'allow'],
    ['x86_64', 'mount', [], 'EPERM'],
    ['x86_64', 'umount2', [], 'EPERM'],
    ['x86_64', 'pivot_root', [], 'EPERM'],
    ['x86_64', 'io_uring_setup', [], 'EPERM'],
    ['x86_64', 'kexec_load', [], 'EPERM'],
    ['x86_64', 'reboot', [], 'EPERM'],
    ['x86_64', 'clone3', [], 'ENOSYS'],
    ['x86_64', 'clone', [0x11], 'allow'],
    ['x86_64', 'clone', [0x10000011], 'EPERM'],
    ['x86_64', 'clone', [0x20000], 'EPERM'],
    ['x86_64', 'socket', [2], 'allow'],
    ['x86_64', 'socket', [16], 'allow'],
    ['x86_64', 'socket', [38], 'EPERM'],
    ['x86_64', 'socket', [40], 'EPERM'],
    ['x86_64', 'socket', [46], 'EPERM'],
    ['x86_64', 'personality', [0], 'allow'],
    ['x86_64', 'personality', [0x20008], 'allow'],
    ['x86_64', 'personality', [1], 'EPERM'],
    ['i386', 'read', [], 'allow'],
    ['i386', 'mount', [], 'EPERM'],
    ['i386', 'clone3', [], 'ENOSYS'],
    ['i386', 'clone', [0x40000000], 'EPERM'],
    ['i386', 'socket', [40], 'EPERM'],
    ['i386', 'socketcall', [1], 'EPERM'],
    ['i386', 'socketcall', [2], 'allow'],
    ['i386', 'stime', [], 'EPERM'],
  ] as [SyscallAbi, string, number[], string][])('%s %s %j: %s', (abi, name, args, wanted) => {
    expect(judge(docker, ARCHITECTURE[abi], numberOf(abi, name), args)).toBe(wanted);
  });

  it.each([
    ['x86_64', 0x40000000, 'EPERM'],
    ['x86_64', 0x40000027, 'EPERM'],
    ['x86_64', 0x7fffffff, 'EPERM'],
    ['x86_64', 0xffffffff, 'EPERM'],
    ['x86_64', 700, 'ENOSYS'],
    ['i386', 700, 'ENOSYS'],
    ['i386', 0xffffffff, 'ENOSYS'],
    ['arm64', 0, 'kill'],
  ] as const)('%s number %i: %s', (abi, number, wanted) => {
    expect(judge(docker, ARCHITECTURE[abi], number, [])).toBe(wanted);
  });

  it('blocks exactly 73 of the native calls, as Docker does', () => {
    const blocked = [...SYSCALL_NAMES.x86_64.keys()].filter(
      (number) => judge(docker, ARCHITECTURE.x86_64, number, []) !== 'allow',
    );
    expect(blocked).toHaveLength(73);
  });

  it('lets a container with all capabilities mount and clone', () => {
    const all = dockerSeccompProgram(new Set(CAPABILITY_NAMES));
    for (const [name, args] of [
      ['mount', []],
      ['clone', [0x10000011]],
      ['clone3', []],
      ['bpf', []],
    ] as const) {
      expect(judge(all, ARCHITECTURE.x86_64, numberOf('x86_64', name), args)).toBe('allow');
    }
    expect(judge(all, ARCHITECTURE.x86_64, numberOf('x86_64', 'kexec_load'), [])).toBe('EPERM');
  });

  it('is small, and compiled once for each set', () => {
    expect(docker.length / 8).toBeLessThan(600);
    expect(dockerSeccompProgram(new Set([...DOCKER_CAPABILITIES].reverse()))).toBe(docker);
  });
});

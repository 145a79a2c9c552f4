import { describe, expect, test } from 'vitest';
import { DOCKER_CAPABILITIES } from '../capabilities.ts';
import { ARCHITECTURE, judge, numberOf } from '../testing/judge-seccomp.ts';
import { dockerSeccompProgram } from './docker-seccomp.ts';
import { guardProject } from './project-guard.ts';
import type { SyscallAbi } from './syscall-table.ts';

const X32 = 0x40000000;
const [FSSETXATTR, SETFLAGS, SETFLAGS32] = [0x401c5820, 0x40086602, 0x40046602];
const [FSGETXATTR, TCGETS] = [0x801c581f, 0x5401];

describe('behind the guard of a limited container', () => {
  const bare = guardProject(undefined);
  const dockers = guardProject(dockerSeccompProgram(new Set(DOCKER_CAPABILITIES)));

  test.each<[string, SyscallAbi, number, readonly (number | bigint)[], string]>([
    ['a project is set', 'x86_64', 16, [3, FSSETXATTR], 'EPERM'],
    ['the request has high bits that the kernel drops', 'x86_64', 16, [3, 0x1_401c_5820n], 'EPERM'],
    ['flags are set', 'x86_64', 16, [3, SETFLAGS], 'EPERM'],
    ['flags are set, numbered as in 32 bits', 'x86_64', 16, [3, SETFLAGS32], 'EPERM'],
    ['an i386 program sets a project', 'i386', 54, [3, FSSETXATTR], 'EPERM'],
    ['an i386 program sets flags', 'i386', 54, [3, SETFLAGS32], 'EPERM'],
    ['a project is read', 'x86_64', 16, [3, FSGETXATTR], 'allow'],
    ['a terminal is asked', 'x86_64', 16, [0, TCGETS], 'allow'],
    ['an i386 program asks a terminal', 'i386', 54, [0, TCGETS], 'allow'],
    ['a call of the same number as another table has it', 'i386', 16, [3, FSSETXATTR], 'allow'],
    ['another call', 'x86_64', 1, [1, FSSETXATTR], 'allow'],
  ])('%s', (_name, abi, number, args, wanted) => {
    expect(judge(bare, ARCHITECTURE[abi], number, args)).toBe(wanted);
    expect(judge(dockers, ARCHITECTURE[abi], number, args)).toBe(wanted);
  });

  test.each(['file_setattr', 'quotactl', 'quotactl_fd'])('%s is refused', (name) => {
    for (const abi of ['x86_64', 'i386'] as const)
      expect(judge(bare, ARCHITECTURE[abi], numberOf(abi, name), [])).toBe('EPERM');
    expect(judge(bare, ARCHITECTURE.x86_64, numberOf('x86_64', name) | X32, [])).toBe('EPERM');
  });

  test.each([16, 514])('ioctl %i through the x32 ABI', (number) => {
    expect(judge(bare, ARCHITECTURE.x86_64, number | X32, [3, FSSETXATTR])).toBe('EPERM');
    expect(judge(bare, ARCHITECTURE.x86_64, number | X32, [0, TCGETS])).toBe('allow');
  });

  test('what docker refuses is refused as before', () => {
    const before = dockerSeccompProgram(new Set(DOCKER_CAPABILITIES));
    for (const abi of ['x86_64', 'i386', 'arm64'] as const)
      for (let number = 0; number < 520; number++)
        expect([number, judge(dockers, ARCHITECTURE[abi], number, [0, TCGETS])]).toEqual([
          number,
          REFUSED.has(`${abi} ${number}`) ? 'EPERM' : judge(before, ARCHITECTURE[abi], number, [0, TCGETS]),
        ]);
  });

  test('a program that is too long with it', () => {
    expect(() => guardProject(new Uint8Array(4096 * 8))).toThrow(
      /storage limit.* may have \d+ instructions, and has 4096/,
    );
  });
});

const REFUSED = new Set(
  (['x86_64', 'i386'] as const).flatMap((abi) =>
    ['file_setattr', 'quotactl', 'quotactl_fd'].map((name) => `${abi} ${numberOf(abi, name)}`),
  ),
);

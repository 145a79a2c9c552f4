import { containerV1 } from '@atoll/proto';
import { describe, expect, it } from 'vitest';
import { type CapabilityName, DOCKER_CAPABILITIES } from '../capabilities.ts';
import { ARCHITECTURE, judge, numberOf } from '../testing/judge-seccomp.ts';
import { profileProgram } from './profile-program.ts';
import type { SyscallAbi } from './syscall-table.ts';

type Profile = Parameters<typeof containerV1.SeccompProfile.fromPartial>[0];

const [ALLOW, ERRNO] = ['SCMP_ACT_ALLOW', 'SCMP_ACT_ERRNO'];

function verdict(
  profile: Profile,
  call: string,
  args: readonly (number | bigint)[] = [],
  options: { readonly abi?: SyscallAbi; readonly caps?: readonly CapabilityName[]; readonly kernel?: string } = {},
): string {
  const { abi = 'x86_64', caps = DOCKER_CAPABILITIES, kernel = '6.12.3-1-amd64' } = options;
  const program = profileProgram(containerV1.SeccompProfile.fromPartial(profile), new Set(caps), kernel);
  return judge(program, ARCHITECTURE[abi], numberOf(abi, call), args);
}

describe('rules', () => {
  const deny = (action: string, errnoRet?: number): Profile => ({
    defaultAction: ALLOW,
    rules: [{ names: ['mkdir', 'no-such-call'], action, ...(errnoRet === undefined ? {} : { errnoRet }) }],
  });
  it.each([
    ['an errno of its own', deny(ERRNO, 38), 'ENOSYS'],
    ['EPERM when none is given', deny(ERRNO), 'EPERM'],
    ['kill', deny('SCMP_ACT_KILL'), 'kill thread'],
    ['kill the process', deny('SCMP_ACT_KILL_PROCESS'), 'kill'],
    ['trap', deny('SCMP_ACT_TRAP'), 'trap'],
    ['log', deny('SCMP_ACT_LOG'), 'log'],
    ['trace', deny('SCMP_ACT_TRACE', 5), String(0x7ff00005)],
    ['what no rule names', { defaultAction: 'SCMP_ACT_KILL_PROCESS' }, 'kill'],
    ['a default errno', { defaultAction: ERRNO, defaultErrnoRet: 38 }, 'ENOSYS'],
  ] as [string, Profile, string][])('%s', (_name, profile, wanted) => {
    expect(verdict(profile, 'mkdir')).toBe(wanted);
  });

  it('one without conditions wins over those with', () => {
    const rules = [
      { names: ['mkdir'], action: ALLOW, args: [{ index: 1, value: 7n, op: 'SCMP_CMP_EQ' }] },
      { names: ['mkdir'], action: 'SCMP_ACT_TRAP' },
    ];
    expect(verdict({ defaultAction: ERRNO, rules }, 'mkdir', [0, 7])).toBe('trap');
  });
});

describe('comparisons of arguments', () => {
  const big = 0x1_0000_0005n;
  it.each([
    [
      'SCMP_CMP_EQ',
      5n,
      0n,
      [
        [5n, true],
        [4n, false],
        [big, false],
      ],
    ],
    [
      'SCMP_CMP_EQ',
      big,
      0n,
      [
        [big, true],
        [5n, false],
        [0x2_0000_0005n, false],
      ],
    ],
    [
      'SCMP_CMP_NE',
      5n,
      0n,
      [
        [5n, false],
        [4n, true],
        [big, true],
      ],
    ],
    [
      'SCMP_CMP_LT',
      big,
      0n,
      [
        [5n, true],
        [big - 1n, true],
        [big, false],
        [0x2_0000_0000n, false],
      ],
    ],
    [
      'SCMP_CMP_LE',
      big,
      0n,
      [
        [0n, true],
        [big, true],
        [big + 1n, false],
        [0x2_0000_0000n, false],
      ],
    ],
    [
      'SCMP_CMP_GE',
      big,
      0n,
      [
        [0xffffffffn, false],
        [big - 1n, false],
        [big, true],
        [0x2_0000_0000n, true],
      ],
    ],
    [
      'SCMP_CMP_GT',
      big,
      0n,
      [
        [0xffffffffn, false],
        [big, false],
        [big + 1n, true],
        [0x2_0000_0000n, true],
      ],
    ],
    [
      'SCMP_CMP_MASKED_EQ',
      0x7e020000n,
      0n,
      [
        [0x11n, true],
        [0x10000011n, false],
        [0x1_0000_0000n, true],
      ],
    ],
    [
      'SCMP_CMP_MASKED_EQ',
      0xf_0000_000fn,
      0x1_0000_0002n,
      [
        [0x1_0000_0002n, true],
        [2n, false],
        [0x21_0000_0012n, true],
      ],
    ],
    [
      'SCMP_CMP_EQ',
      0xffffffffffffffffn,
      0n,
      [
        [0xffffffffffffffffn, true],
        [0xffffffffn, false],
      ],
    ],
  ] as [string, bigint, bigint, [bigint, boolean][]][])('%s %i %i', (op, value, valueTwo, cases) => {
    const profile = {
      defaultAction: ERRNO,
      rules: [{ names: ['mkdir'], action: ALLOW, args: [{ index: 1, value, valueTwo, op }] }],
    };
    for (const [argument, allowed] of cases) {
      expect([argument, verdict(profile, 'mkdir', [0n, argument])]).toEqual([argument, allowed ? 'allow' : 'EPERM']);
    }
  });

  it('all have to hold, or any of those of one argument', () => {
    const rule = (indexes: readonly number[]): Profile => ({
      defaultAction: ERRNO,
      rules: [
        {
          names: ['mkdir'],
          action: ALLOW,
          args: indexes.map((index, at) => ({ index, value: BigInt(at + 1), op: 'SCMP_CMP_EQ' })),
        },
      ],
    });
    expect(verdict(rule([0, 1]), 'mkdir', [1, 2])).toBe('allow');
    expect(verdict(rule([0, 1]), 'mkdir', [1, 3])).toBe('EPERM');
    expect(verdict(rule([0, 0]), 'mkdir', [2])).toBe('allow');
    expect(verdict(rule([0, 0]), 'mkdir', [3])).toBe('EPERM');
  });
});

describe('rules for some containers only', () => {
  const only = (filter: object): Profile => ({
    defaultAction: ERRNO,
    rules: [{ names: ['mkdir'], action: ALLOW, ...filter }],
  });
  it.each([
    ['with a capability it has', { includes: { caps: ['CAP_CHOWN'] } }, 'allow'],
    ['with two, one of which it lacks', { includes: { caps: ['CAP_CHOWN', 'CAP_SYS_ADMIN'] } }, 'EPERM'],
    ['without a capability it has', { excludes: { caps: ['CAP_CHOWN', 'CAP_SYS_ADMIN'] } }, 'EPERM'],
    ['without one it lacks', { excludes: { caps: ['CAP_SYS_ADMIN'] } }, 'allow'],
    ['on this architecture', { includes: { arches: ['amd64', 'x32'] } }, 'allow'],
    ['on another', { includes: { arches: ['s390x'] } }, 'EPERM'],
    ['not on this one', { excludes: { arches: ['amd64'] } }, 'EPERM'],
    ['from an older kernel on', { includes: { minKernel: '4.8' } }, 'allow'],
    ['from this kernel on', { includes: { minKernel: '6.12' } }, 'allow'],
    ['from a newer one on', { includes: { minKernel: '6.13' } }, 'EPERM'],
    ['before an older kernel', { excludes: { minKernel: '5.0' } }, 'EPERM'],
  ])('%s', (_name, filter, wanted) => {
    expect(verdict(only(filter), 'mkdir')).toBe(wanted);
  });
});

describe('other ABIs', () => {
  const deny = { names: ['connect'], action: ERRNO };
  const profile: Profile = { defaultAction: ALLOW, i386: true, rules: [deny] };
  it.each([
    ['i386 that is not named', { ...profile, i386: false }, 'connect', [], 'kill'],
    ['i386', profile, 'connect', [], 'EPERM'],
    ['the same through socketcall', profile, 'socketcall', [3], 'EPERM'],
    ['another call through socketcall', profile, 'socketcall', [2], 'allow'],
    [
      'a rule that cannot look at arguments refuses always',
      { ...profile, rules: [{ ...deny, args: [{ index: 0, value: 1n, op: 'SCMP_CMP_EQ' }] }] },
      'socketcall',
      [3],
      'EPERM',
    ],
    ['ipc with a version', { ...profile, rules: [{ names: ['shmat'], action: ERRNO }] }, 'ipc', [0x10015], 'EPERM'],
    [
      'a rule for socketcall itself',
      { ...profile, rules: [deny, { names: ['socketcall'], action: 'SCMP_ACT_LOG' }] },
      'socketcall',
      [3],
      'log',
    ],
  ] as [string, Profile, string, number[], string][])('%s', (_name, given, call, args, wanted) => {
    expect(verdict(given, call, args, { abi: 'i386' })).toBe(wanted);
  });

  it.each([
    ['x32 is refused', ALLOW, 0x40000001, 'EPERM'],
    ['a call of the future, everything allowed', ALLOW, 900, 'allow'],
    ['a call of the future, everything refused', ERRNO, 900, 'ENOSYS'],
  ])('%s', (_name, defaultAction, number, wanted) => {
    const program = profileProgram(containerV1.SeccompProfile.fromPartial({ defaultAction }), new Set(), '6.1');
    expect(judge(program, ARCHITECTURE.x86_64, number, [])).toBe(wanted);
  });
});

it('a program the kernel would not take', () => {
  const args = [0, 1, 2, 3, 4, 5].map((index) => ({ index, value: 1n, op: 'SCMP_CMP_GT' }));
  const rules = Array.from({ length: 200 }, () => ({ names: ['mkdir'], action: ALLOW, args }));
  expect(() => verdict({ defaultAction: ERRNO, rules }, 'mkdir')).toThrow(/instructions, and the kernel takes 4096/);
});

it.each([
  ['an action', { defaultAction: 'SCMP_ACT_NOTIFY' }],
  [
    'a comparison',
    { defaultAction: ERRNO, rules: [{ names: ['mkdir'], action: ALLOW, args: [{ index: 0, op: 'x' }] }] },
  ],
])('refuses %s it does not know', (_name, profile) => {
  expect(() => verdict(profile, 'mkdir')).toThrow('seccomp profile');
});

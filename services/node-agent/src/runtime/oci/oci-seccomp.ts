import { release } from 'node:os';
import type { containerV1 } from '@atoll/proto';
import type { CapabilityName } from '../capabilities.ts';
import type { Decision } from '../seccomp/bpf-compiler.ts';
import { dockerPolicy } from '../seccomp/docker-policy.ts';
import { appliesHere } from '../seccomp/profile-policy.ts';
import { SYSCALL_NAMES } from '../seccomp/syscall-table.ts';

interface Rule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number | undefined;
  readonly args?: readonly {
    readonly index: number;
    readonly value: number | bigint;
    readonly valueTwo?: number | bigint;
    readonly op: string;
  }[];
}

const ARCHITECTURES = { x86_64: ['SCMP_ARCH_X86_64'], i386: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'] } as const;
const EPERM = 1;

/** Docker's default policy as `linux.seccomp` of an OCI config. */
export function ociDefaultSeccomp(capabilities: ReadonlySet<CapabilityName>): unknown {
  const policy = dockerPolicy(capabilities);
  const names = new Set([...SYSCALL_NAMES.x86_64.values(), ...SYSCALL_NAMES.i386.values()]);
  const allowed: string[] = [];
  const special: Rule[] = [];
  for (const name of names) {
    const decision = policy.decide(name, 'x86_64');
    if (decision.kind === 'allow') allowed.push(name);
    else special.push(...rulesOf(name, decision));
  }
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: ARCHITECTURES.i386,
    syscalls: [{ names: allowed, action: 'SCMP_ACT_ALLOW' }, ...special],
  };
}

/** A user's profile, reduced to the rules that hold for these capabilities, this kernel and this architecture. */
export function ociProfileSeccomp(
  profile: containerV1.SeccompProfile,
  capabilities: ReadonlySet<CapabilityName>,
): unknown {
  const rules = profile.rules.filter((rule) => appliesHere(rule, capabilities, release()));
  return {
    defaultAction: profile.defaultAction,
    defaultErrnoRet: profile.defaultErrnoRet,
    architectures: profile.i386 ? ARCHITECTURES.i386 : ARCHITECTURES.x86_64,
    syscalls: rules.map(({ names, action, errnoRet, args }): Rule => ({ names, action, errnoRet, args })),
  };
}

function rulesOf(name: string, decision: Decision): readonly Rule[] {
  const allow = (value: number, op: string, more: object = {}): Rule => ({
    names: [name],
    action: 'SCMP_ACT_ALLOW',
    args: [{ index: 0, value, op, ...more }],
  });
  switch (decision.kind) {
    case 'errno':
      return decision.errno === EPERM ? [] : [{ names: [name], action: 'SCMP_ACT_ERRNO', errnoRet: decision.errno }];
    case 'no-bits':
      return [allow(decision.mask, 'SCMP_CMP_MASKED_EQ', { valueTwo: 0 })];
    case 'one-of':
      return decision.values.map((value) => allow(value, 'SCMP_CMP_EQ'));
    case 'not':
      return [allow(decision.value, 'SCMP_CMP_NE')];
    default:
      throw new RangeError(`the default policy decides ${name} in a way OCI has no rule for`);
  }
}

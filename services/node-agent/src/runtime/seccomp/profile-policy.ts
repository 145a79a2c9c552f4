import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { CapabilityName } from '../capabilities.ts';
import type { ArgumentRule, Decision, SeccompPolicy } from './bpf-compiler.ts';
import { type Comparison, type Condition, word64 } from './bpf-condition.ts';
import { SECCOMP_RETURN } from './bpf-instruction.ts';
import { multiplexed } from './multiplexed-calls.ts';

const EPERM = 1;
const ENOSYS = 38;
const ALL_BITS = word64(0xffffffffffffffffn);
/** What lets a call happen: a number no table has is then let through too. */
const PERMITTING: ReadonlySet<number> = new Set([SECCOMP_RETURN.ALLOW, SECCOMP_RETURN.LOG]);

const COMPARISONS: Readonly<Record<string, Comparison>> = {
  SCMP_CMP_EQ: 'eq',
  SCMP_CMP_NE: 'ne',
  SCMP_CMP_LT: 'lt',
  SCMP_CMP_LE: 'le',
  SCMP_CMP_GE: 'ge',
  SCMP_CMP_GT: 'gt',
};

/** What a profile's rules say once it is known whose they are. */
interface CallRules {
  /** Wins over the others, as in libseccomp. */
  always?: number;
  readonly sometimes: ArgumentRule[];
}

/**
 * A user's profile as the compiler takes it. A name no table of this kernel has is a call nobody can make. Numbers beyond the
 * tables answer ENOSYS where the profile refuses what it does not list, so that newer libraries fall back; the x32 ABI is
 * refused whatever the profile says. Throws invalid-argument for actions and comparisons that are none.
 */
export function profilePolicy(
  profile: containerV1.SeccompProfile,
  capabilities: ReadonlySet<CapabilityName>,
  kernel: string,
): SeccompPolicy {
  const byDefault = returnOf(profile.defaultAction, profile.defaultErrnoRet);
  const calls = new Map<string, CallRules>();
  for (const rule of profile.rules) {
    if (!appliesHere(rule, capabilities, kernel)) continue;
    const result = returnOf(rule.action, rule.errnoRet);
    for (const name of rule.names) {
      const known = calls.get(name) ?? { sometimes: [] };
      calls.set(name, known);
      if (rule.args.length === 0) known.always ??= result;
      else known.sometimes.push(...argumentRules(rule.args, result));
    }
  }
  const own = (name: string): Decision | undefined => {
    const rules = calls.get(name);
    if (rules?.always !== undefined) return { kind: 'return', value: rules.always };
    return rules && { kind: 'rules', rules: rules.sometimes, otherwise: byDefault };
  };
  return {
    abis: profile.i386 ? ['x86_64', 'i386'] : ['x86_64'],
    unknown: PERMITTING.has(byDefault) ? { kind: 'return', value: byDefault } : { kind: 'errno', errno: ENOSYS },
    x32: { kind: 'errno', errno: EPERM },
    decide: (name, abi) =>
      own(name) ??
      (abi === 'i386' ? multiplexed(name, own, byDefault) : undefined) ?? { kind: 'return', value: byDefault },
  };
}

/** Is a rule of a profile meant for these capabilities, this kernel release and this architecture? */
export function appliesHere(
  { includes, excludes }: containerV1.SeccompRule,
  capabilities: ReadonlySet<CapabilityName>,
  kernel: string,
): boolean {
  const has = (name: string): boolean => capabilities.has(name.replace(/^CAP_/, '') as CapabilityName);
  if (excludes?.arches.includes('amd64') || excludes?.caps.some(has)) return false;
  if (excludes?.minKernel && isAtLeast(kernel, excludes.minKernel)) return false;
  if (includes?.arches.length && !includes.arches.includes('amd64')) return false;
  if (includes?.minKernel && !isAtLeast(kernel, includes.minKernel)) return false;
  return includes?.caps.every(has) ?? true;
}

function isAtLeast(kernel: string, wanted: string): boolean {
  const [major = 0, minor = 0] = kernel.split(/[.-]/).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** All conditions have to hold; when two look at the same argument, any of them is enough, as Docker's runtimes do it. */
function argumentRules(args: readonly containerV1.SeccompCondition[], result: number): ArgumentRule[] {
  const conditions = args.map(conditionOf);
  const alternatives = new Set(args.map(({ index }) => index)).size < args.length;
  return alternatives ? conditions.map((one) => ({ conditions: [one], result })) : [{ conditions, result }];
}

function conditionOf({ index, value, valueTwo, op }: containerV1.SeccompCondition): Condition {
  if (op === 'SCMP_CMP_MASKED_EQ') {
    return { argument: index, mask: word64(value), comparison: 'eq', value: word64(valueTwo) };
  }
  const comparison = COMPARISONS[op];
  if (!comparison || index > 5) throw invalidArgument(`seccomp profile: no comparison "${op}" of argument ${index}`);
  return { argument: index, mask: ALL_BITS, comparison, value: word64(value) };
}

function returnOf(action: string, errno: number | undefined): number {
  switch (action) {
    case 'SCMP_ACT_ALLOW':
      return SECCOMP_RETURN.ALLOW;
    case 'SCMP_ACT_LOG':
      return SECCOMP_RETURN.LOG;
    case 'SCMP_ACT_ERRNO':
      return SECCOMP_RETURN.ERRNO | (errno ?? EPERM);
    case 'SCMP_ACT_TRACE':
      return SECCOMP_RETURN.TRACE | (errno ?? EPERM);
    case 'SCMP_ACT_TRAP':
      return SECCOMP_RETURN.TRAP;
    case 'SCMP_ACT_KILL':
    case 'SCMP_ACT_KILL_THREAD':
      return SECCOMP_RETURN.KILL_THREAD;
    case 'SCMP_ACT_KILL_PROCESS':
      return SECCOMP_RETURN.KILL_PROCESS;
    default:
      throw invalidArgument(`seccomp profile: unknown action "${action}"`);
  }
}

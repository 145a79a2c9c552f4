import { type Condition, compileCondition } from './bpf-condition.ts';
import {
  AUDIT_ARCH,
  encodeProgram,
  type Instruction,
  OFFSET,
  OPCODE,
  SECCOMP_RETURN,
  X32_BIT,
} from './bpf-instruction.ts';
import { SYSCALL_NAMES, type SyscallAbi } from './syscall-table.ts';

/** What happens to one system call. Arguments are compared by their low 32 bits, which is all these calls look at. */
export type Decision =
  | { readonly kind: 'allow' }
  | { readonly kind: 'errno'; readonly errno: number }
  /** Allowed when no bit of the mask is set. */
  | { readonly kind: 'no-bits'; readonly argument: number; readonly mask: number; readonly errno: number }
  /** Allowed for these values only. */
  | { readonly kind: 'one-of'; readonly argument: number; readonly values: readonly number[]; readonly errno: number }
  /** Allowed for all other values. */
  | { readonly kind: 'not'; readonly argument: number; readonly value: number; readonly errno: number }
  /** A return value of seccomp(2). */
  | { readonly kind: 'return'; readonly value: number }
  /** The first rule whose conditions all hold; arguments are compared whole. */
  | { readonly kind: 'rules'; readonly rules: readonly ArgumentRule[]; readonly otherwise: number };

export interface ArgumentRule {
  readonly conditions: readonly Condition[];
  /** A return value of seccomp(2). */
  readonly result: number;
}

export interface SeccompPolicy {
  decide(name: string, abi: SyscallAbi): Decision;
  /** Calls of other ABIs end the process; all when absent. */
  readonly abis?: readonly SyscallAbi[];
  /** Numbers that are in no table. */
  readonly unknown: Decision;
  /** Calls through the x32 ABI. */
  readonly x32: Decision;
}

const { LOAD, AND, JUMP, JUMP_EQUAL, JUMP_GREATER_EQUAL, RETURN } = OPCODE;
const { ALLOW, ERRNO, KILL_PROCESS } = SECCOMP_RETURN;

/**
 * A classic BPF program for x86-64 and i386: numbers with the same decision form ranges, found by
 * binary search, so that any call costs about seven comparisons. Other architectures kill the process.
 */
export function compileSeccomp(policy: SeccompPolicy): Uint8Array {
  const native = compileAbi('x86_64', policy);
  const compat =
    policy.abis?.includes('i386') === false ? [{ code: RETURN, k: KILL_PROCESS }] : compileAbi('i386', policy);
  return encodeProgram([
    { code: LOAD, k: OFFSET.architecture },
    { code: JUMP_EQUAL, k: AUDIT_ARCH.x86_64, jt: 3, jf: 0 },
    { code: JUMP_EQUAL, k: AUDIT_ARCH.i386, jt: 1, jf: 0 },
    { code: RETURN, k: KILL_PROCESS },
    { code: JUMP, k: native.length },
    ...native,
    ...compat,
  ]);
}

function compileAbi(abi: SyscallAbi, policy: SeccompPolicy): Instruction[] {
  return [{ code: LOAD, k: OFFSET.number }, ...search(rangesOf(abi, policy))];
}

interface Range {
  readonly start: number;
  readonly body: readonly Instruction[];
}

function rangesOf(abi: SyscallAbi, policy: SeccompPolicy): Range[] {
  const names = SYSCALL_NAMES[abi];
  const end = Math.max(...names.keys()) + 1;
  const decisions = Array.from({ length: end }, (_, number) => {
    const name = names.get(number);
    return name === undefined ? policy.unknown : policy.decide(name, abi);
  });
  const all: [number, Decision][] = [...decisions.entries(), [end, policy.unknown]];
  if (abi === 'x86_64') all.push([X32_BIT, policy.x32]);
  const ranges: Range[] = [];
  let last: string | undefined;
  for (const [start, decision] of all) {
    const key = JSON.stringify(decision);
    if (key !== last) ranges.push({ start, body: compileDecision(decision, abi) });
    last = key;
  }
  return ranges;
}

function search(ranges: readonly Range[]): Instruction[] {
  const middle = ranges.length >> 1;
  const split = ranges[middle];
  if (split === undefined || ranges.length === 1) return [...(ranges[0]?.body ?? [])];
  const left = search(ranges.slice(0, middle));
  const right = search(ranges.slice(middle));
  // A conditional jump reaches 255 instructions; beyond, it goes over an unconditional one.
  const jump: Instruction[] =
    left.length <= 255
      ? [{ code: JUMP_GREATER_EQUAL, k: split.start, jt: left.length, jf: 0 }]
      : [
          { code: JUMP_GREATER_EQUAL, k: split.start, jt: 0, jf: 1 },
          { code: JUMP, k: left.length },
        ];
  return [...jump, ...left, ...right];
}

function compileDecision(decision: Decision, abi: SyscallAbi): Instruction[] {
  const allow: Instruction = { code: RETURN, k: ALLOW };
  if (decision.kind === 'return') return [{ code: RETURN, k: decision.value }];
  if (decision.kind === 'rules') {
    return [...decision.rules.flatMap((rule) => compileRule(rule, abi)), { code: RETURN, k: decision.otherwise }];
  }
  if (decision.kind === 'allow') return [allow];
  const refuse: Instruction = { code: RETURN, k: ERRNO | decision.errno };
  if (decision.kind === 'errno') return [refuse];
  const load: Instruction = { code: LOAD, k: OFFSET.arguments + decision.argument * 8 };
  if (decision.kind === 'no-bits') {
    return [load, { code: AND, k: decision.mask }, { code: JUMP_EQUAL, k: 0, jt: 1, jf: 0 }, refuse, allow];
  }
  if (decision.kind === 'not') {
    return [load, { code: JUMP_EQUAL, k: decision.value, jt: 0, jf: 1 }, refuse, allow];
  }
  const count = decision.values.length;
  const tests = decision.values.map((k, index) => ({ code: JUMP_EQUAL, k, jt: count - index, jf: 0 }));
  return [load, ...tests, refuse, allow];
}

/** Each condition goes on to the next when it holds, else past the rule's return. */
function compileRule({ conditions, result }: ArgumentRule, abi: SyscallAbi): Instruction[] {
  const blocks: Instruction[][] = [];
  let behind = 1;
  for (const condition of [...conditions].reverse()) {
    const block = compileCondition(condition, abi, behind);
    blocks.unshift(block);
    behind += block.length;
  }
  return [...blocks.flat(), { code: RETURN, k: result }];
}

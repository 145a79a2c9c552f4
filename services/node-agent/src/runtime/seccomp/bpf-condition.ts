import { type Instruction, OFFSET, OPCODE } from './bpf-instruction.ts';
import type { SyscallAbi } from './syscall-table.ts';

export type Comparison = 'eq' | 'ne' | 'lt' | 'le' | 'ge' | 'gt';

/** An argument, reduced to the bits of the mask, against a value; each in 32-bit halves. */
export interface Condition {
  readonly argument: number;
  readonly mask: Word64;
  readonly comparison: Comparison;
  readonly value: Word64;
}

export interface Word64 {
  readonly high: number;
  readonly low: number;
}

export function word64(value: bigint): Word64 {
  return { high: Number(value >> 32n), low: Number(value & 0xffffffffn) };
}

const { LOAD, AND, JUMP_EQUAL, JUMP_GREATER, JUMP_GREATER_EQUAL } = OPCODE;
const ALL = 0xffffffff;
/** The comparison that holds exactly when the other does not. */
const OPPOSITE = { ne: 'eq', lt: 'ge', le: 'gt' } as const;

/**
 * Code that runs on when the condition holds, and jumps over `behind` more instructions when it does not. An argument of an
 * i386 call has 32 bits.
 */
export function compileCondition(condition: Condition, abi: SyscallAbi, behind: number): Instruction[] {
  const { comparison } = condition;
  const negated = comparison === 'ne' || comparison === 'lt' || comparison === 'le';
  const test = negated ? OPPOSITE[comparison] : comparison;
  const low = half(condition, 'low');
  const high = abi === 'i386' ? [] : half(condition, 'high');
  // Where each outcome goes, counted from behind the last instruction of this condition.
  const [holds, fails] = negated ? [behind, 0] : [0, behind];
  const last: Instruction = {
    code: test === 'eq' ? JUMP_EQUAL : test === 'gt' ? JUMP_GREATER : JUMP_GREATER_EQUAL,
    k: condition.value.low,
    jt: holds,
    jf: fails,
  };
  if (high.length === 0) return [...low, last];
  const rest = low.length + 1;
  const decide: Instruction[] =
    test === 'eq'
      ? [{ code: JUMP_EQUAL, k: condition.value.high, jt: 0, jf: rest + fails }]
      : [
          { code: JUMP_GREATER, k: condition.value.high, jt: 1 + rest + holds, jf: 0 },
          { code: JUMP_EQUAL, k: condition.value.high, jt: 0, jf: rest + fails },
        ];
  return [...high, ...decide, ...low, last];
}

function half({ argument, mask }: Condition, part: 'low' | 'high'): Instruction[] {
  const load = { code: LOAD, k: OFFSET.arguments + argument * 8 + (part === 'high' ? 4 : 0) };
  return mask[part] === ALL ? [load] : [load, { code: AND, k: mask[part] }];
}

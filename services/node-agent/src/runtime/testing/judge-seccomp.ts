import { SECCOMP_RETURN } from '../seccomp/bpf-instruction.ts';
import { SYSCALL_NAMES, type SyscallAbi } from '../seccomp/syscall-table.ts';

export const ARCHITECTURE = { x86_64: 0xc000003e, i386: 0x40000003, arm64: 0xc00000b7 } as const;

const WORDS: Readonly<Record<number, string>> = {
  [SECCOMP_RETURN.ALLOW]: 'allow',
  [SECCOMP_RETURN.LOG]: 'log',
  [SECCOMP_RETURN.TRAP]: 'trap',
  [SECCOMP_RETURN.KILL_THREAD]: 'kill thread',
  [SECCOMP_RETURN.KILL_PROCESS]: 'kill',
  [SECCOMP_RETURN.ERRNO | 1]: 'EPERM',
  [SECCOMP_RETURN.ERRNO | 38]: 'ENOSYS',
};

export function numberOf(abi: SyscallAbi, name: string): number {
  const found = [...SYSCALL_NAMES[abi]].find(([, candidate]) => candidate === name);
  if (found === undefined) throw new Error(`${name} is not in the table of ${abi}`);
  return found[0];
}

/** Runs the program as the kernel would, one instruction after the other; a word, or the number the program returns. */
export function judge(
  program: Uint8Array,
  architecture: number,
  number: number,
  args: readonly (number | bigint)[],
): string {
  const code = Buffer.from(program);
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(architecture, 4);
  for (const [index, value] of args.entries()) data.writeBigUInt64LE(BigInt(value), 16 + index * 8);
  let a = 0;
  for (let pc = 0; pc * 8 < code.length; pc++) {
    const op = code.readUInt16LE(pc * 8);
    const k = code.readUInt32LE(pc * 8 + 4);
    const jump = (taken: boolean): number => code.readUInt8(pc * 8 + (taken ? 2 : 3));
    if (op === 0x20) a = data.readUInt32LE(k);
    else if (op === 0x54) a = (a & k) >>> 0;
    else if (op === 0x05) pc += k;
    else if (op === 0x15) pc += jump(a === k);
    else if (op === 0x25) pc += jump(a > k);
    else if (op === 0x35) pc += jump(a >= k);
    else if (op === 0x06) return WORDS[k] ?? `${k}`;
    else throw new Error(`unknown instruction ${op}`);
  }
  throw new Error('the program has no end');
}

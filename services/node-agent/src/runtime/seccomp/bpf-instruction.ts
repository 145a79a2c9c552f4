/** An instruction of classic BPF (linux/filter.h). */
export interface Instruction {
  readonly code: number;
  readonly k: number;
  /** Distances, relative to the next instruction. */
  readonly jt?: number;
  readonly jf?: number;
}

/** linux/bpf_common.h: a word loaded, the accumulator against a constant, a return of a constant. */
export const OPCODE = {
  LOAD: 0x20,
  AND: 0x54,
  JUMP: 0x05,
  JUMP_EQUAL: 0x15,
  JUMP_GREATER: 0x25,
  JUMP_GREATER_EQUAL: 0x35,
  RETURN: 0x06,
} as const;

/** linux/seccomp.h; the low 16 bits of ERRNO and TRACE are data. */
export const SECCOMP_RETURN = {
  KILL_PROCESS: 0x80000000,
  KILL_THREAD: 0x00000000,
  TRAP: 0x00030000,
  ERRNO: 0x00050000,
  TRACE: 0x7ff00000,
  LOG: 0x7ffc0000,
  ALLOW: 0x7fff0000,
} as const;

/** struct seccomp_data; an argument is eight bytes, little endian here. */
export const OFFSET = { number: 0, architecture: 4, arguments: 16 } as const;

/** linux/audit.h. */
export const AUDIT_ARCH = { x86_64: 0xc000003e, i386: 0x40000003 } as const;

/** Set in the numbers of calls through the x32 ABI. */
export const X32_BIT = 0x40000000;

/** BPF_MAXINSNS. */
export const MAX_INSTRUCTIONS = 4096;
export const INSTRUCTION_BYTES = 8;

/** A program as the kernel takes it (`struct sock_filter`, little endian). */
export function encodeProgram(program: readonly Instruction[]): Uint8Array {
  const bytes = Buffer.alloc(program.length * INSTRUCTION_BYTES);
  for (const [index, { code, k, jt = 0, jf = 0 }] of program.entries()) {
    const at = index * INSTRUCTION_BYTES;
    bytes.writeUInt16LE(code, at);
    bytes.writeUInt8(jt, at + 2);
    bytes.writeUInt8(jf, at + 3);
    bytes.writeUInt32LE(k >>> 0, at + 4);
  }
  return bytes;
}

import { invalidArgument } from '@atoll/errors';
import {
  AUDIT_ARCH,
  encodeProgram,
  INSTRUCTION_BYTES,
  type Instruction,
  MAX_INSTRUCTIONS,
  OFFSET,
  OPCODE,
  SECCOMP_RETURN,
  X32_BIT,
} from './bpf-instruction.ts';
import { SYSCALL_NAMES, type SyscallAbi } from './syscall-table.ts';

const { LOAD, AND, JUMP, JUMP_EQUAL, RETURN } = OPCODE;
const EPERM = SECCOMP_RETURN.ERRNO | 1;
/** Of ioctl in x32's own numbers; those of the other calls are x86-64's. */
const X32_IOCTL = 514;
/** linux/fs.h: FS_IOC_FSSETXATTR, FS_IOC_SETFLAGS, FS_IOC32_SETFLAGS. They change a file's project, or whether a folder hands its own on. */
const REQUESTS = [0x401c5820, 0x40086602, 0x40046602];
/** What does the same by another way, and what changes limits. */
const REFUSED = new Set(['file_setattr', 'quotactl', 'quotactl_fd']);

/**
 * The program (undefined: everything is allowed) behind a guard by which files stay in their project: a limit of storage is a project
 * quota, and outside of user namespaces who owns a file may move it to another project. Requests are compared by their low 32 bits,
 * which is all the kernel looks at. Throws invalid-argument when both together are longer than the kernel takes.
 */
export function guardProject(program: Uint8Array | undefined): Uint8Array {
  const rest = program ?? encodeProgram([{ code: RETURN, k: SECCOMP_RETURN.ALLOW }]);
  const most = MAX_INSTRUCTIONS - GUARD.length;
  if (rest.length > most * INSTRUCTION_BYTES) {
    throw invalidArgument(
      `seccomp profile: with a storage limit its program may have ${most} instructions, and has ${rest.length / INSTRUCTION_BYTES}`,
    );
  }
  return Buffer.concat([encodeProgram(GUARD), rest]);
}

/** Runs on behind its end with what is not refused. */
function guardOf(abi: SyscallAbi): readonly Instruction[] {
  const named = [...SYSCALL_NAMES[abi]].filter(([, name]) => name === 'ioctl' || REFUSED.has(name));
  const calls = [...named, ...(abi === 'x86_64' ? ([[X32_IOCTL, 'ioctl']] as const) : [])];
  const requests: Instruction[] = [
    { code: LOAD, k: OFFSET.arguments + 8 },
    ...REQUESTS.map((k, index) => ({ code: JUMP_EQUAL, k, jt: REQUESTS.length - index, jf: 0 })),
    { code: JUMP, k: 1 },
    { code: RETURN, k: EPERM },
  ];
  return [
    { code: LOAD, k: OFFSET.number },
    { code: AND, k: ~X32_BIT >>> 0 },
    ...calls.map(([k, name], index) => {
      const toRequests = calls.length - index;
      return { code: JUMP_EQUAL, k, jt: toRequests + (name === 'ioctl' ? 0 : requests.length - 1), jf: 0 };
    }),
    { code: JUMP, k: requests.length },
    ...requests,
  ];
}

const native = guardOf('x86_64');
const compat = guardOf('i386');
/** Calls of other architectures are the program's to judge. */
const GUARD: readonly Instruction[] = [
  { code: LOAD, k: OFFSET.architecture },
  { code: JUMP_EQUAL, k: AUDIT_ARCH.x86_64, jt: 2, jf: 0 },
  { code: JUMP_EQUAL, k: AUDIT_ARCH.i386, jt: native.length + 2, jf: 0 },
  { code: JUMP, k: native.length + 1 + compat.length },
  ...native,
  { code: JUMP, k: compat.length },
  ...compat,
];

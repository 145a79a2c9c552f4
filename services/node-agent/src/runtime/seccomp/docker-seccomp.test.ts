import { describe, expect, it } from 'vitest';
import { CAPABILITY_NAMES, DOCKER_CAPABILITIES } from '../capabilities.ts';
import { dockerSeccompProgram } from './docker-seccomp.ts';
import { SYSCALL_NAMES, type SyscallAbi } from './syscall-table.ts';

const ARCHITECTURE = { x86_64: 0xc000003e, i386: 0x40000003, arm64: 0xc00000b7 } as const;
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

function numberOf(abi: SyscallAbi, name: string): number {
  const found = [...SYSCALL_NAMES[abi]].find(([, candidate]) => candidate === name);
  if (found === undefined) throw new Error(`${name} is not in the table of ${abi}`);
  return found[0];
}

/** Runs the program as the kernel would, one instruction after the other. */
function judge(program: Uint8Array, architecture: number, number: number, args: readonly number[]): string {
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
    else if (op === 0x35) pc += jump(a >= k);
    else if (op === 0x06)
      return { 2147418112: 'allow', 2147483648: 'kill', 327681: 'EPERM', 327718: 'ENOSYS' }[k] ?? `${k}`;
    else throw new Error(`unknown instruction ${op}`);
  }
  throw new Error('the program has no end');
}

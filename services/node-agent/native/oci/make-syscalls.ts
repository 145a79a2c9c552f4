import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SYSCALL_NAMES } from '../../src/runtime/seccomp/syscall-table.ts';

/** The table of system calls as C, for `seccomp.c`: run this after a change, `node native/oci/make-syscalls.ts`. */
export function syscallsInC(): string {
  const tables = (['x86_64', 'i386'] as const).map((abi) => {
    const items = [...SYSCALL_NAMES[abi]]
      .sort(([a], [b]) => a - b)
      .map(([number, name]) => `\t{ ${number}, "${name}" },`);
    return `static const struct call ${abi.toUpperCase()}_CALLS[] = {\n${items.join('\n')}\n};\n`;
  });
  return `/* Made by make-syscalls.ts; by number. */\n${tables.join('\n')}`;
}

if (import.meta.main) writeFileSync(join(import.meta.dirname, 'syscalls.inc'), syscallsInC());

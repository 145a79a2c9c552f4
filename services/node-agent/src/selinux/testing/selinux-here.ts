import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

/** Why what needs SELinux does not apply to the machine of the tests; undefined when it does. */
export const NOT_APPLICABLE = reason();

function reason(): string | undefined {
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return '';
    }
  };
  const enforce = read('/sys/fs/selinux/enforce');
  if (enforce === '') return 'not applicable: this kernel has no SELinux, or it is off';
  if (enforce.trim() !== '1') return 'not applicable: SELinux is permissive here';
  try {
    writeFileSync('/sys/fs/selinux/context', 'system_u:system_r:container_t:s0:c0,c1023');
  } catch {
    return 'not applicable: the SELinux policy of this machine does not know container_t';
  }
  return undefined;
}

/** The label of a file of this machine, of a link itself; empty without one. */
export function labelOf(path: string): string {
  const [, label = ''] = /^(\S+) /.exec(execFileSync('ls', ['-dZ', path], { encoding: 'utf8' })) ?? [];
  return label === '?' ? '' : label;
}

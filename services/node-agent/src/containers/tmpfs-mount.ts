import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { MountFlag, MountPlan } from '../runtime/plan.ts';

const FLAGS: Readonly<Record<string, { readonly set?: MountFlag; readonly clear?: MountFlag }>> = {
  ro: { set: 'ro' },
  rw: { clear: 'ro' },
  nosuid: { set: 'nosuid' },
  suid: { clear: 'nosuid' },
  nodev: { set: 'nodev' },
  dev: { clear: 'nodev' },
  noexec: { set: 'noexec' },
  exec: { clear: 'noexec' },
  noatime: { set: 'noatime' },
};
const SETTINGS = new Set(['size', 'mode', 'uid', 'gid', 'nr_inodes', 'nr_blocks']);

/** Docker's defaults (noexec, nosuid, nodev) and the options given, last one winning. Throws invalid-argument. */
export function tmpfsMount(mount: containerV1.Mount): MountPlan {
  const flags = new Set<MountFlag>(['noexec', 'nosuid', 'nodev']);
  const settings = new Map<string, string>();
  for (const option of [...mount.options.split(','), ...mount.tmpfsOptions].filter(Boolean)) {
    const [name = '', value] = option.split('=', 2);
    const flag = FLAGS[name];
    if (flag?.set) flags.add(flag.set);
    else if (flag?.clear) flags.delete(flag.clear);
    else if (SETTINGS.has(name) && value !== undefined) settings.set(name, value);
    else throw invalidArgument(`invalid tmpfs option ["${option}"]`);
  }
  if (mount.tmpfsSize > 0n) settings.set('size', String(mount.tmpfsSize));
  if (mount.tmpfsMode > 0) settings.set('mode', mount.tmpfsMode.toString(8));
  if (mount.readOnly) flags.add('ro');
  return { kind: 'tmpfs', target: mount.target, flags: [...flags], options: [...settings] };
}

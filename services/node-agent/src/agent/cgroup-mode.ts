import { readFile } from 'node:fs/promises';

/** v2: one tree. v1: only v1 trees. hybrid: v1 controllers with an empty v2 tree beside them. */
export type CgroupMode = 'v1' | 'hybrid' | 'v2';

/** How this host's control groups are laid out (cgroups(7), "Cgroups v2 hierarchies and v1"). */
export async function detectCgroupMode(mountsFile = '/proc/self/mounts'): Promise<CgroupMode> {
  return cgroupModeOf(await readFile(mountsFile, 'utf8'));
}

export function cgroupModeOf(mounts: string): CgroupMode {
  const types = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, target]) => target?.startsWith('/sys/fs/cgroup'));
  const has = (type: string): boolean => types.some((fields) => fields[2] === type);
  if (!has('cgroup')) return 'v2';
  return has('cgroup2') ? 'hybrid' : 'v1';
}

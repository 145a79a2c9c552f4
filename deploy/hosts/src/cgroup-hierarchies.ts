import { readFile } from 'node:fs/promises';

/** A mounted cgroup hierarchy of this machine. */
export interface CgroupHierarchy {
  readonly mountPoint: string;
  readonly version: 1 | 2;
  /** v1: the controllers mounted here. v2: none (see cgroup.controllers). */
  readonly controllers: readonly string[];
}

/**
 * All hierarchies that have controllers, and the v2 tree wherever it is mounted (hybrid machines have it empty beside v1).
 * Named v1 hierarchies (`name=systemd`) belong to the init system and are left out.
 */
export async function listCgroupHierarchies(): Promise<readonly CgroupHierarchy[]> {
  return parseHierarchies(await readFile('/proc/self/mountinfo', 'utf8'));
}

/** `v1`, `hybrid` or `v2`, as Atoll's facts name them. */
export function cgroupMode(hierarchies: readonly CgroupHierarchy[]): 'v1' | 'hybrid' | 'v2' | 'none' {
  const one = hierarchies.some((hierarchy) => hierarchy.version === 1);
  const two = hierarchies.some((hierarchy) => hierarchy.version === 2);
  if (one) return two ? 'hybrid' : 'v1';
  return two ? 'v2' : 'none';
}

export function parseHierarchies(mountinfo: string): readonly CgroupHierarchy[] {
  const found = new Map<string, CgroupHierarchy>();
  for (const line of mountinfo.split('\n')) {
    const [mount, source] = line.split(' - ');
    const mountPoint = mount?.split(' ')[4];
    const [type, , options] = source?.split(' ') ?? [];
    if (!mountPoint || (type !== 'cgroup' && type !== 'cgroup2')) continue;
    const words = (options ?? '').split(',');
    const controllers = type === 'cgroup2' ? [] : words.filter((word) => !['rw', 'ro', 'none', 'xattr'].includes(word));
    if (controllers.some((word) => word.startsWith('name='))) continue;
    const key = controllers.join(',');
    if (!found.has(key)) found.set(key, { mountPoint, version: type === 'cgroup2' ? 2 : 1, controllers });
  }
  return [...found.values()];
}

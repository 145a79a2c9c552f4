import { readFile } from 'node:fs/promises';

/** A mounted cgroup hierarchy of this machine. */
export interface CgroupHierarchy {
  readonly mountPoint: string;
  readonly version: 1 | 2;
  /** v1: the controllers mounted here. v2: none (see cgroup.controllers). */
  readonly controllers: readonly string[];
  /** v1 without controllers (`name=systemd`): others' tree, in which a container's init may still make groups of its own. */
  readonly named: boolean;
}

/** All hierarchies of this machine. Hybrid machines have an empty v2 tree beside those of v1. */
export async function listCgroupHierarchies(): Promise<readonly CgroupHierarchy[]> {
  return parseHierarchies(await readFile('/proc/self/mountinfo', 'utf8'));
}

/** `v1`, `hybrid` or `v2`, as Atoll's facts name them. */
export function cgroupMode(hierarchies: readonly CgroupHierarchy[]): 'v1' | 'hybrid' | 'v2' | 'none' {
  const one = hierarchies.some((hierarchy) => hierarchy.version === 1 && !hierarchy.named);
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
    const named = controllers.some((word) => word.startsWith('name='));
    const key = controllers.join(',');
    if (!found.has(key)) found.set(key, { mountPoint, version: type === 'cgroup2' ? 2 : 1, controllers, named });
  }
  return [...found.values()];
}

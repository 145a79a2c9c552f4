import { join } from 'node:path';
import type { MountPlan } from '../plan.ts';

/** Folder of the bundle where the shim has each bind's source, under the number of its mount. */
const SOURCES = 'mounts';
const TYPES = {
  proc: 'proc',
  sysfs: 'sysfs',
  tmpfs: 'tmpfs',
  dev: 'tmpfs',
  devpts: 'devpts',
  mqueue: 'mqueue',
  cgroup: 'cgroup',
} as const;

/** Mounts of an OCI config. Binds are of what the shim has resolved and mounted inside the bundle, with their flags. */
export function ociMounts(bundle: string, mounts: readonly MountPlan[]): readonly Record<string, unknown>[] {
  return mounts.map((mount, index) => {
    const { kind, target, flags } = mount;
    if (kind === 'bind' || kind === 'image' || kind === 'shm') {
      const bind = kind === 'bind' ? mount : undefined;
      const options = [bind?.recursive ? 'rbind' : 'bind', bind?.propagation ?? 'rprivate', ...flags];
      return { destination: target, type: 'bind', source: join(bundle, SOURCES, String(index)), options };
    }
    const own = (mount.options ?? []).map(([name, value]) => (value === '' ? name : `${name}=${value}`));
    const options = [...flags, ...(kind === 'devpts' ? ['newinstance'] : []), ...own];
    return { destination: target, type: TYPES[kind], source: kind, options };
  });
}

/** How the container's root takes part in what happens to the host's mounts, from the most that one of its binds asks for. */
export function rootPropagation(mounts: readonly MountPlan[]): string {
  const wanted = mounts.map((mount) => (mount.kind === 'bind' ? mount.propagation.replace(/^r/, '') : ''));
  return wanted.includes('shared') ? 'shared' : wanted.includes('slave') ? 'rslave' : 'rprivate';
}

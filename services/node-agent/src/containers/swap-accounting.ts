import { exists } from '../files/exists.ts';

/** True when this kernel can limit memory and swap together. */
export async function hasSwapAccounting(root = '/sys/fs/cgroup'): Promise<boolean> {
  // The root group of v2 has no limits of its own; swap is accounted there whenever the memory controller is.
  const files = ['memory/memory.memsw.limit_in_bytes', 'memory.swap.max', 'cgroup.controllers'];
  const found = await Promise.all(files.map((file) => exists(`${root}/${file}`)));
  return found.includes(true);
}

import { access } from 'node:fs/promises';

/** True when this kernel can limit memory and swap together. */
export async function hasSwapAccounting(root = '/sys/fs/cgroup'): Promise<boolean> {
  const files = [`${root}/memory/memory.memsw.limit_in_bytes`, `${root}/memory.swap.max`];
  const found = await Promise.all(
    files.map((file) =>
      access(file).then(
        () => true,
        () => false,
      ),
    ),
  );
  // The root group of v2 has no limits of its own; swap is accounted there whenever the memory controller is.
  const unified = await access(`${root}/cgroup.controllers`).then(
    () => true,
    () => false,
  );
  return found.includes(true) || unified;
}

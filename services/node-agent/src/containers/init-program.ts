import { chmod, copyFile, rename } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * The program of `--init` as this host's containers see it. With labels it is a copy of the agent's own, as it has to have one that
 * containers may execute; what they execute already is left to them.
 */
export async function initProgram(installed: string, root: string, labels: boolean): Promise<string> {
  if (!labels) return installed;
  const [own, fresh] = [join(root, 'atoll-init'), join(root, 'atoll-init.new')];
  await copyFile(installed, fresh);
  await chmod(fresh, 0o755);
  await rename(fresh, own);
  return own;
}

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const FOLDERS = ['dev', 'proc', 'sys', 'etc'];
const FILES = ['etc/hosts', 'etc/hostname', 'etc/resolv.conf'];
/** How programs tell that they run in a container of docker. */
const MARK = '.dockerenv';

/**
 * The layer between an image and a container's own changes: the places where the runtime mounts. With them there nothing has
 * to be made in the container's own folder, so that `diff` shows, and a build step stores, only what programs have changed.
 */
export async function ensureInitLayer(path: string): Promise<string> {
  for (const folder of FOLDERS) await mkdir(join(path, folder), { recursive: true, mode: 0o755 });
  for (const file of FILES) await writeFile(join(path, file), '', { mode: 0o644, flag: 'a' });
  await writeFile(join(path, MARK), '', { mode: 0o755, flag: 'a' });
  return path;
}

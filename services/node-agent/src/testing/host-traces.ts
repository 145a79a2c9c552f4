import { existsSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** The folders of a name in every cgroup hierarchy. */
export async function cgroupFolders(name: string): Promise<readonly string[]> {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  const roots = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type?.startsWith('cgroup'));
  return roots.map(([, root]) => join(root ?? '', name)).filter((path) => existsSync(path));
}

export async function childFolders(path: string): Promise<readonly string[]> {
  const entries = await readdir(path, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(path, name));
}

/** Shims that work below a data root; the agent's spawner of them only when asked for. */
export async function shimsOf(dataRoot: string, spawner: boolean): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const folder = await readlink(`/proc/${pid}/cwd`).catch(() => '');
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      const isSpawner = command.split('\0')[1] === 'spawner';
      return folder.startsWith(dataRoot) && command.startsWith('atoll-shim') && (spawner || !isSpawner)
        ? [`process ${pid}: ${command.replaceAll('\0', ' ')}`]
        : [];
    }),
  );
  return found.flat();
}

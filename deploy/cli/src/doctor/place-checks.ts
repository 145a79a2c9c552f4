import { access, constants, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { totalmem } from 'node:os';
import { dirname } from 'node:path';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import { loadSettings } from '../cluster/cluster-settings.ts';
import { readLiveState } from '../cluster/cluster-state.ts';
import { advice, type Check, missing, ok } from './check.ts';

const GIB = 2 ** 30;
const DISK_NEEDED = 1 * GIB;
const DISK_COMFORT = 5 * GIB;
const MEMORY_COMFORT = 1 * GIB;

export async function placeChecks(paths: ClusterPaths): Promise<readonly Check[]> {
  return [root(), await disk(paths), memory(), ...(await ports(paths))];
}

function root(): Check {
  if (process.getuid?.() === 0) return ok('root', 'yes');
  return missing('root', 'no', "start clusters with sudo: namespaces, bridges and cgroups are root's");
}

async function disk(paths: ClusterPaths): Promise<Check> {
  let folder = paths.dataRoot;
  while (!(await access(folder, constants.F_OK).then(() => true, () => false))) folder = dirname(folder); // biome-ignore format: short
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const found = `${(free / GIB).toFixed(1)} GiB free for ${paths.dataRoot}`;
  if (free >= DISK_COMFORT) return ok('disk', found);
  const fix = 'free some space, or use --data-root on a larger disk';
  return free >= DISK_NEEDED ? advice('disk', found, fix) : missing('disk', found, fix);
}

function memory(): Check {
  const found = `${(totalmem() / GIB).toFixed(1)} GiB`;
  return totalmem() >= MEMORY_COMFORT ? ok('memory', found) : advice('memory', found, 'the services take half a GiB');
}

/** Only a cluster that other machines joined has ports that must be the same again. */
async function ports(paths: ClusterPaths): Promise<readonly Check[]> {
  const running = await readLiveState(paths);
  if (running) return [ok('ports', `in use by the running cluster ${paths.name}`)];
  const settings = await loadSettings(paths).catch(() => undefined);
  const kept = settings?.advertise ? Object.entries(settings.ports) : [];
  const checks = await Promise.all(
    kept.map(async ([service, port]) =>
      (await isFree(port))
        ? ok(`port ${port}`, `free for ${service}`)
        : missing(
            `port ${port}`,
            `taken, and ${service} was announced there`,
            `end what listens there: ss -ltnp sport = :${port}`,
          ),
    ),
  );
  return checks.length > 0 ? checks : [ok('ports', 'free ones are chosen at each start')];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)));
  });
}

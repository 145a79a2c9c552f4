import { access, constants, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { totalmem } from 'node:os';
import { dirname } from 'node:path';
import { runCommand } from '@atoll/hosts';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import { loadSettings } from '../cluster/cluster-settings.ts';
import { readLiveState } from '../cluster/cluster-state.ts';
import { advice, type Check, missing, ok } from './check.ts';

const GIB = 2 ** 30;
const DISK_NEEDED = 1 * GIB;
const DISK_COMFORT = 5 * GIB;
const MEMORY_COMFORT = 1 * GIB;

export async function placeChecks(paths: ClusterPaths): Promise<readonly Check[]> {
  return [root(), await disk(paths), await storageLimits(paths), memory(), ...(await ports(paths))];
}

function root(): Check {
  if (process.getuid?.() === 0) return ok('root', 'yes');
  return missing('root', 'no', "start clusters with sudo: namespaces, bridges and cgroups are root's");
}

/** What there is of the data root already. */
async function existing({ dataRoot }: ClusterPaths): Promise<string> {
  let folder = dataRoot;
  while (!(await access(folder, constants.F_OK).then(() => true, () => false))) folder = dirname(folder); // biome-ignore format: short
  return folder;
}

/** Needed for `--storage-opt size` only; each agent asks its kernel more closely. */
async function storageLimits(paths: ClusterPaths): Promise<Check> {
  const what = 'storage limits';
  const args = ['--noheadings', '--first-only', '--output', 'FSTYPE,OPTIONS', '--target', await existing(paths)];
  const [kind = '', options = ''] = await runCommand('findmnt', args).then(
    (text) => text.trim().split(/\s+/),
    () => ['a file system that findmnt does not tell'],
  );
  const able = ['xfs', 'ext4'].includes(kind) && /(^|,)(prjquota|pquota)(,|$)/.test(options);
  if (able) return ok(what, `project quotas of ${kind}`);
  const fix = 'use --data-root on xfs or ext4 mounted with prjquota: docs/storage-limits.md';
  return advice(what, `${kind} without project quotas: no --storage-opt size`, fix);
}

async function disk(paths: ClusterPaths): Promise<Check> {
  const folder = await existing(paths);
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

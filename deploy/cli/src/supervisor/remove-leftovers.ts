import { readdir, rm, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CgroupTree, isAlive, type ProcessIdentity, parseBlock, signalProcess, Underlay } from '@atoll/hosts';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import { loadSettings } from '../cluster/cluster-settings.ts';
import { readState } from '../cluster/cluster-state.ts';
import { releaseAppArmor } from './release-apparmor.ts';

export interface LeftoverOptions {
  /** Hosts that are up stay up, with their containers; their old agents are ended. */
  readonly keepHosts: boolean;
  /** The state file stays, to be read by the one who waits for it. */
  readonly keepState?: boolean;
}

/**
 * Ends what a supervisor that is gone left behind: processes by the cluster's cgroup (never by name), then bridge, table, address
 * block and run folder. Gives the holders of the hosts that stay. Safe to repeat, safe when there is nothing.
 */
export async function removeLeftovers(
  paths: ClusterPaths,
  options: LeftoverOptions,
): Promise<ReadonlyMap<string, ProcessIdentity>> {
  const holders = new Map<string, ProcessIdentity>();
  const state = await readState(paths);
  for (const service of state?.services ?? []) {
    if (service.process) await signalProcess(service.process, 'SIGKILL');
  }
  await (await CgroupTree.at(`${paths.cgroup}/services`)).kill();
  if (options.keepHosts) {
    for (const host of state?.hosts ?? []) {
      if (host.holder && (await isAlive(host.holder))) holders.set(host.name, host.holder);
    }
    return holders;
  }
  for (const name of await readdir(paths.runDir).catch(() => [])) {
    if (options.keepState && name === 'state.json') continue;
    await rm(`${paths.runDir}/${name}`, { recursive: true, force: true });
  }
  const tree = await CgroupTree.at(paths.cgroup);
  await tree.kill();
  // A supervisor that ends itself must not hold the group it is in.
  if (process.pid === state?.supervisor.pid) (await CgroupTree.at('/')).add(process.pid);
  await tree.remove();
  const block = state?.block ?? (await loadSettings(paths))?.block;
  if (block) {
    await new Underlay({ names: paths.names(), block: parseBlock(block), claims: paths.blockClaims }).remove();
  }
  await releaseAppArmor(paths.dataRoot);
  if (!options.keepState) await rm(paths.runDir, { recursive: true, force: true });
  // Shared with other clusters: these go with the last one.
  for (const folder of [paths.blockClaims, dirname(paths.runDir)]) await rmdir(folder).catch(() => undefined);
  return holders;
}

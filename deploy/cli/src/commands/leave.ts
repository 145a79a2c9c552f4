import { readFile, rm } from 'node:fs/promises';
import { failedPrecondition } from '@atoll/errors';
import { runCommand } from '@atoll/hosts';
import type { Command } from 'commander';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import { removeMemberNetwork } from '../member/member-agent.ts';
import { loadMember } from '../member/member-settings.ts';
import { removeLeftovers } from '../supervisor/remove-leftovers.ts';
import { stopContainers } from '../supervisor/stop-containers.ts';
import { type ClusterFlags, pathsOf, requireRoot, wholeNumber, withCluster } from './command-context.ts';
import { MEMBER_NAME } from './join.ts';

interface LeaveFlags extends ClusterFlags {
  readonly time: number;
  readonly purge?: boolean;
}

export function addLeave(program: Command): void {
  withCluster(program.command('leave'), MEMBER_NAME)
    .description('end the agent and the containers of this machine; forget the cluster with --purge')
    .option('-t, --time <seconds>', 'what containers get to end by themselves', wholeNumber, 10)
    .option('--purge', 'also delete identity, volumes and containers of this host')
    .action(async (flags: LeaveFlags) => {
      requireRoot('leaving');
      const paths = pathsOf(flags);
      const settings = await loadMember(paths);
      if (!settings)
        throw failedPrecondition(`this machine has not joined a cluster (no ${paths.dataRoot}/member.json)`);
      await stopContainers(paths.hostCgroup(settings.hostname), flags.time * 1000);
      await removeLeftovers(paths, { keepHosts: false });
      await unmountBelow(paths);
      await removeMemberNetwork(paths.names(), paths.hostData(settings.hostname));
      if (flags.purge) await rm(paths.dataRoot, { recursive: true, force: true });
    });
}

/** Mounts of containers that were killed stay in the machine's own mount namespace. */
async function unmountBelow(paths: ClusterPaths): Promise<void> {
  const points = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${paths.dataRoot}/`));
  for (const point of points.toReversed()) await runCommand('umount', ['-l', point]);
}

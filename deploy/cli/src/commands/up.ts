import { setTimeout as sleep } from 'node:timers/promises';
import { failedPrecondition, hasReason, invalidArgument } from '@atoll/errors';
import { isAlive } from '@atoll/hosts';
import { type Command, Option } from 'commander';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import type { SchedulerStrategy, SELinuxUse, SocketMounts } from '../cluster/cluster-settings.ts';
import { type ClusterState, readLiveState } from '../cluster/cluster-state.ts';
import { type StartOptions, startCluster } from '../cluster/start-cluster.ts';
import { stopCluster } from '../cluster/stop-cluster.ts';
import { ProgressView } from '../progress/progress-view.ts';
import {
  type ClusterFlags,
  collectPairs,
  collectRuntimes,
  pathsOf,
  RUNTIME_HELP,
  requireRoot,
  selinuxOption,
  socketMountsOption,
  USERNS_REMAP_HELP,
  wholeNumber,
  withCluster,
} from './command-context.ts';
import { untilInterrupted } from './until-interrupted.ts';

/** Addresses .11 to .250 of a /24. */
const MAX_HOSTS = 240;

interface UpFlags extends ClusterFlags {
  readonly hosts?: number;
  readonly detach?: boolean;
  readonly tcp?: string;
  readonly registryMirror?: Record<string, string>;
  readonly runtime?: Record<string, string>;
  readonly schedulerStrategy?: SchedulerStrategy;
  readonly usernsRemap?: string;
  readonly selinux?: SELinuxUse;
  readonly socketMounts?: SocketMounts;
}

export function addUp(program: Command): void {
  withCluster(program.command('up'))
    .description('start the cluster of this machine, or say that it runs')
    .option('--hosts <n>', 'hosts made of namespaces (default: as last time, else 1)', wholeNumber)
    .option('-d, --detach', 'return when it is ready instead of staying until Ctrl-C')
    .option(
      '--tcp <host:port>',
      'serve the Docker API there too; with TLS and client certificates unless it is loopback',
    )
    .option('--registry-mirror <registry=url>', 'pull images of a registry name from there; repeatable', collectPairs)
    .option('--runtime <name=path>', RUNTIME_HELP, collectRuntimes)
    .option('--userns-remap <ids>', USERNS_REMAP_HELP)
    .addOption(selinuxOption())
    .addOption(new Option('--scheduler-strategy <name>', 'how hosts are chosen').choices(['spread', 'binpack']))
    .addOption(socketMountsOption())
    .action(async (flags: UpFlags) => {
      requireRoot('starting a cluster');
      const paths = pathsOf(flags);
      if (flags.hosts !== undefined && (flags.hosts < 1 || flags.hosts > MAX_HOSTS)) {
        throw invalidArgument(`--hosts ${flags.hosts}: from 1 to ${MAX_HOSTS}`);
      }
      const running = await readLiveState(paths);
      if (running) return sayRunning(paths, running, flags);
      const state = await startOrEnd(paths, {
        ...(flags.hosts !== undefined && { hosts: flags.hosts }),
        ...(flags.tcp !== undefined && { tcp: flags.tcp }),
        ...(flags.registryMirror !== undefined && { registryMirrors: flags.registryMirror }),
        ...(flags.runtime !== undefined && { runtimes: flags.runtime }),
        ...(flags.schedulerStrategy !== undefined && { strategy: flags.schedulerStrategy }),
        ...(flags.usernsRemap !== undefined && { usernsRemap: flags.usernsRemap }),
        ...(flags.selinux !== undefined && { selinux: flags.selinux }),
        ...(flags.socketMounts !== undefined && { socketMounts: flags.socketMounts }),
      });
      sayReady(state, flags);
      if (!flags.detach) await stayUntilInterrupted(paths, state);
    });
}

/** A start that is interrupted ends what it had started. */
export async function startOrEnd(paths: ClusterPaths, options: StartOptions): Promise<ClusterState> {
  try {
    return await untilInterrupted((signal) => showStart(paths, options, signal));
  } catch (error) {
    if (hasReason(error, 'cancelled')) await stopCluster(paths, { containerGraceMs: 1000 }, () => undefined);
    throw error;
  }
}

export async function showStart(
  paths: ClusterPaths,
  options: StartOptions,
  signal: AbortSignal,
): Promise<ClusterState> {
  const view = new ProgressView();
  try {
    return await startCluster(paths, options, (steps) => view.show(steps), signal);
  } finally {
    view.close();
  }
}

/** Holds the terminal; Ctrl-C ends the cluster in order. Ends with an error when the cluster ends by itself. */
export async function stayUntilInterrupted(
  paths: ClusterPaths,
  state: ClusterState,
  containerGraceMs = 10_000,
): Promise<void> {
  const interrupted = new AbortController();
  const stop = (): void => interrupted.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop);
  process.stderr.write('\nCtrl-C stops the cluster.\n');
  while (!interrupted.signal.aborted && (await isAlive(state.supervisor))) {
    await sleep(500, undefined, { signal: interrupted.signal }).catch(() => undefined);
  }
  if (!interrupted.signal.aborted)
    throw failedPrecondition(`the cluster ended, see ${state.dataRoot}/logs/supervisor.log`);
  process.stderr.write('\n');
  const view = new ProgressView();
  await stopCluster(paths, { containerGraceMs }, (steps) => view.show(steps));
  view.close();
}

function sayRunning(paths: ClusterPaths, state: ClusterState, flags: UpFlags): void {
  const hosts = state.hosts.length;
  if (flags.hosts !== undefined && flags.hosts !== hosts) {
    throw failedPrecondition(
      `cluster ${paths.name} runs already, with ${hosts} hosts: ./atoll down first to start it with ${flags.hosts}`,
    );
  }
  const since = state.phase === 'ready' ? '' : ` (${state.phase})`;
  process.stderr.write(`cluster ${paths.name} runs already${since}, with ${hosts} host${hosts === 1 ? '' : 's'}\n`);
  sayReady(state, flags);
}

function sayReady(state: ClusterState, flags: ClusterFlags): void {
  const named = flags.name === 'default' ? '' : ` --name ${flags.name}`;
  process.stderr.write('\nUse it with any docker client:\n\n');
  process.stdout.write(`export DOCKER_HOST=${state.endpoints['docker']}\n`);
  process.stderr.write(`docker info\n\n./atoll status${named} shows its parts, ./atoll down${named} ends it.\n`);
}

import { setTimeout as sleep } from 'node:timers/promises';
import { deadlineExceeded } from '@atoll/errors';
import { isAlive } from '@atoll/hosts';
import type { Step } from '../progress/step.ts';
import { removeLeftovers } from '../supervisor/remove-leftovers.ts';
import type { ClusterPaths } from './cluster-paths.ts';
import { readLiveState, readState } from './cluster-state.ts';
import { sendOrder } from './control-client.ts';

export interface StopOptions {
  /** What containers get between SIGTERM and SIGKILL. */
  readonly containerGraceMs: number;
}

/** Beyond the containers' time: for services and hosts. */
const STOP_LIMIT_MS = 60_000;

/**
 * Ends a cluster: by its supervisor when it lives, else what is left of it. Afterwards no process, namespace, bridge, cgroup or table of
 * it is there; its data stays. False: there was nothing to end.
 */
export async function stopCluster(
  paths: ClusterPaths,
  options: StopOptions,
  progress: (steps: readonly Step[]) => void,
): Promise<boolean> {
  const live = await readLiveState(paths);
  const any = live ?? (await readState(paths));
  if (live) {
    await sendOrder(paths, `/stop?grace=${options.containerGraceMs}`);
    const end = performance.now() + options.containerGraceMs + STOP_LIMIT_MS;
    let steps: readonly Step[] = [];
    while (await isAlive(live.supervisor)) {
      const state = await readState(paths);
      steps = state?.steps.filter((step) => step.id.startsWith('stop ')) ?? steps;
      progress(steps);
      if (performance.now() > end) throw deadlineExceeded(`the supervisor (pid ${live.supervisor.pid}) does not end`);
      await sleep(40);
    }
    progress(steps.map((step) => (step.state === 'running' ? { ...step, state: 'done', endedAt: Date.now() } : step)));
  }
  await removeLeftovers(paths, { keepHosts: false });
  return any !== undefined;
}

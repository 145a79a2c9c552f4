import { formatRfc3339Nano, humanDuration } from '@atoll/docker-api';
import { containerV1, type runtimeV1 } from '@atoll/proto';
import type { ContainerView } from './container-view.ts';

export type DockerState = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';

const { ContainerState } = containerV1;
const NAMES: Readonly<Record<number, DockerState>> = {
  [ContainerState.UNSPECIFIED]: 'created',
  [ContainerState.CREATING]: 'created',
  [ContainerState.CREATED]: 'created',
  [ContainerState.RUNNING]: 'running',
  [ContainerState.PAUSED]: 'paused',
  [ContainerState.RESTARTING]: 'restarting',
  [ContainerState.EXITED]: 'exited',
  [ContainerState.DEAD]: 'dead',
  [ContainerState.REMOVING]: 'removing',
  [ContainerState.REMOVED]: 'removing',
  [ContainerState.LOST]: 'dead',
};

/** The status that counts: one of a node the container has left says nothing about it any more. */
export function currentStatus(view: ContainerView): containerV1.ContainerStatus | undefined {
  return view.status?.nodeId === view.record.nodeId ? view.status : undefined;
}

export function dockerState(view: ContainerView): DockerState {
  if (view.record.lostReason !== '') return 'dead';
  const status = currentStatus(view);
  // Placed anew on another node, which has not reported it yet.
  if (status === undefined && view.record.placements > 0) return 'restarting';
  return NAMES[status?.state ?? ContainerState.UNSPECIFIED] ?? 'created';
}

export function isRunning(view: ContainerView): boolean {
  const state = dockerState(view);
  return state === 'running' || state === 'paused' || state === 'restarting';
}

/** The STATUS column: `Up 5 minutes (healthy)`, `Exited (0) 3 seconds ago`, `Created`. */
export function statusText(view: ContainerView, nowMs: number): string {
  const status = currentStatus(view);
  const since = (ns: bigint | undefined): string => humanDuration((nowMs - Number((ns ?? 0n) / 1_000_000n)) / 1000);
  switch (dockerState(view)) {
    case 'running':
      return `Up ${since(status?.startedAtNs)}${healthText(status?.health ?? '')}`;
    case 'paused':
      return `Up ${since(status?.startedAtNs)} (Paused)`;
    case 'restarting':
      return status === undefined
        ? 'Restarting (on another host)'
        : `Restarting (${status.exitCode}) ${since(status.finishedAtNs)} ago`;
    case 'removing':
      return 'Removal In Progress';
    case 'dead':
      return view.record.lostReason === '' ? 'Dead' : 'Dead (host lost)';
    case 'exited':
      return `Exited (${status?.exitCode ?? 0}) ${since(status?.finishedAtNs)} ago`;
    default:
      return 'Created';
  }
}

/** Until when, Unix ms, `statusText` says of an unchanged container what it says at `nowMs`. */
export function statusTextLastsUntil(view: ContainerView, nowMs: number): number {
  const status = currentStatus(view);
  const state = dockerState(view);
  if (status === undefined || !COUNTING.has(state)) return Number.POSITIVE_INFINITY;
  const ns = state === 'running' || state === 'paused' ? status.startedAtNs : status.finishedAtNs;
  const since = Number(ns / 1_000_000n);
  const elapsed = nowMs - since;
  // From a minute on the words count minutes, hours or more: all of them change on a whole minute.
  const step = elapsed < 60_000 ? 1_000 : 60_000;
  return since + (Math.floor(elapsed / step) + 1) * step;
}

const COUNTING: ReadonlySet<DockerState> = new Set(['running', 'paused', 'restarting', 'exited']);

function healthText(health: string): string {
  if (health === '') return '';
  return health === 'starting' ? ' (health: starting)' : ` (${health})`;
}

/** `State` of inspect. */
export function stateObject(view: ContainerView, health: runtimeV1.Health | undefined): Record<string, unknown> {
  const status = currentStatus(view);
  const state = dockerState(view);
  return {
    Status: state,
    Running: isRunning(view),
    Paused: state === 'paused',
    Restarting: state === 'restarting',
    OOMKilled: status?.oomKilled ?? false,
    Dead: state === 'dead',
    Pid: status?.pid ?? 0,
    ExitCode: status?.exitCode ?? 0,
    Error: view.record.lostReason || (status?.error ?? ''),
    StartedAt: formatRfc3339Nano(status?.startedAtNs ?? 0n),
    FinishedAt: formatRfc3339Nano(status?.finishedAtNs ?? 0n),
    ...(hasHealth(view) ? { Health: healthObject(status?.health || 'starting', health) } : {}),
  };
}

/** Docker shows health from the first start on. */
function hasHealth(view: ContainerView): boolean {
  const kind = view.spec.healthcheck?.test[0] ?? 'NONE';
  return kind !== 'NONE' && (currentStatus(view)?.startedAtNs ?? 0n) !== 0n;
}

function healthObject(status: string, health: runtimeV1.Health | undefined): Record<string, unknown> {
  return {
    Status: status,
    FailingStreak: health?.failingStreak ?? 0,
    Log: (health?.log ?? []).map(({ startNs, endNs, exitCode, output }) => ({
      Start: formatRfc3339Nano(startNs),
      End: formatRfc3339Nano(endNs),
      ExitCode: exitCode,
      Output: output,
    })),
  };
}

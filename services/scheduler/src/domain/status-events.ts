import { containerV1 } from '@atoll/proto';

export interface StatusEvent {
  readonly action: 'start' | 'oom' | 'die' | 'pause' | 'unpause';
  readonly attributes: Readonly<Record<string, string>>;
}

const { ContainerState } = containerV1;

/**
 * What happened between two statuses of one container, as Docker's events, in order. Statuses may be left out in between: a
 * newer start or finish time tells of a run that was not seen.
 */
export function eventsBetween(
  previous: containerV1.ContainerStatus | undefined,
  next: containerV1.ContainerStatus,
): StatusEvent[] {
  const events: StatusEvent[] = [];
  const started = next.startedAtNs > (previous?.startedAtNs ?? 0n);
  const finished = next.finishedAtNs > (previous?.finishedAtNs ?? 0n);
  const active = next.state === ContainerState.RUNNING || next.state === ContainerState.PAUSED;
  const startFirst = started && finished && next.finishedAtNs >= next.startedAtNs;
  if (startFirst) events.push({ action: 'start', attributes: {} });
  if (finished && next.oomKilled) events.push({ action: 'oom', attributes: {} });
  if (finished) events.push({ action: 'die', attributes: dieAttributes(next) });
  if (started && !startFirst) events.push({ action: 'start', attributes: {} });
  if (previous && !started && active) {
    const was = previous.state === ContainerState.PAUSED;
    const is = next.state === ContainerState.PAUSED;
    if (was !== is) events.push({ action: is ? 'pause' : 'unpause', attributes: {} });
  }
  return events;
}

function dieAttributes(status: containerV1.ContainerStatus): Record<string, string> {
  const seconds = status.startedAtNs > 0n ? (status.finishedAtNs - status.startedAtNs) / 1_000_000_000n : 0n;
  return { exitCode: String(status.exitCode), execDuration: String(seconds > 0n ? seconds : 0n) };
}

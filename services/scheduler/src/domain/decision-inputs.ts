import { containerV1 } from '@atoll/proto';
import type { DesiredContainer, ReportedContainer } from '@atoll/reconcile';

const { ContainerState, DesiredState } = containerV1;

/** A record as the pure decisions see it. */
export function desiredOf(record: containerV1.ContainerRecord): DesiredContainer {
  return {
    id: record.id,
    nodeId: record.nodeId,
    desired: DESIRED[record.desired] ?? 'created',
    generation: record.generation,
    restart: record.spec?.restartPolicy?.name || 'no',
    autoRemove: record.spec?.autoRemove ?? false,
    tiedTo: tieOf(record),
  };
}

export function reportedOf(status: containerV1.ContainerStatus): ReportedContainer {
  return { id: status.id, state: REPORTED[status.state] ?? 'creating', generation: status.generation };
}

const DESIRED: Readonly<Partial<Record<number, DesiredContainer['desired']>>> = {
  [DesiredState.CREATED]: 'created',
  [DesiredState.RUNNING]: 'running',
  [DesiredState.STOPPED]: 'stopped',
  [DesiredState.REMOVED]: 'removed',
};

const REPORTED: Readonly<Partial<Record<number, ReportedContainer['state']>>> = {
  [ContainerState.CREATING]: 'creating',
  [ContainerState.CREATED]: 'created',
  [ContainerState.RUNNING]: 'running',
  [ContainerState.PAUSED]: 'paused',
  [ContainerState.RESTARTING]: 'restarting',
  [ContainerState.EXITED]: 'exited',
  [ContainerState.DEAD]: 'dead',
  [ContainerState.REMOVING]: 'removing',
  [ContainerState.REMOVED]: 'removed',
};

/** Files that exist only on the container's host, in words; anonymous volumes start empty anywhere, and every host has the API's socket. */
function tieOf(record: containerV1.ContainerRecord): string | undefined {
  for (const mount of record.spec?.mounts ?? []) {
    if (mount.type === 'volume' && !mount.anonymous && mount.source !== '') return `volume ${mount.source}`;
    if (mount.type === 'bind' && !mount.apiSocket) return `the bind mount of ${mount.source}`;
  }
  return undefined;
}

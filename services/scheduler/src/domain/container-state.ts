import { containerV1 } from '@atoll/proto';

const { ContainerState } = containerV1;

/** Has a process that a stop or a kill would reach. */
export function isActive(status: containerV1.ContainerStatus | undefined): boolean {
  const state = status?.state;
  return state === ContainerState.RUNNING || state === ContainerState.PAUSED || state === ContainerState.RESTARTING;
}

/** Docker's word for a state. */
export function stateWord(state: containerV1.ContainerState | undefined): string {
  switch (state) {
    case ContainerState.RUNNING:
      return 'running';
    case ContainerState.PAUSED:
      return 'paused';
    case ContainerState.RESTARTING:
      return 'restarting';
    case ContainerState.EXITED:
      return 'exited';
    case ContainerState.DEAD:
    case ContainerState.LOST:
      return 'dead';
    case ContainerState.REMOVING:
    case ContainerState.REMOVED:
      return 'removing';
    default:
      return 'created';
  }
}

import { containerV1 } from '@atoll/proto';
import type { ShimState } from '../runtime/shim-state.ts';
import type { StatusChange } from './status-book.ts';

const S = containerV1.ContainerState;

/** The changes that bring a status to what its supervisor says, found again after a time without a connection. */
export function recognised(found: ShimState, state: containerV1.ContainerState): readonly StatusChange[] {
  const run = { pid: found.pid, startedAtNs: found.startedAt };
  switch (found.status) {
    case 'created':
      return state === S.CREATING ? [{ state: S.CREATED }] : [];
    case 'running':
      return state === S.RUNNING ? [] : [{ ...run, state: S.RUNNING }];
    case 'paused':
      if (state === S.PAUSED) return [];
      return state === S.RUNNING ? [{ state: S.PAUSED }] : [{ ...run, state: S.RUNNING }, { state: S.PAUSED }];
    case 'exited':
      return []; // its end is told apart
  }
}

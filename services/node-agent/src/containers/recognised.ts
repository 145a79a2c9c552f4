import { containerV1 } from '@atoll/proto';
import type { ShimState } from '../runtime/shim-state.ts';
import type { StatusChange } from './status-book.ts';

const S = containerV1.ContainerState;

/** The changes that bring a status to what its supervisor says, found again after a time without a connection. */
export function recognised(
  found: ShimState,
  { state, pid, startedAtNs }: containerV1.ContainerStatus,
): readonly StatusChange[] {
  const same = pid === found.pid && startedAtNs === found.startedAt;
  const run = { pid: found.pid, startedAtNs: found.startedAt, finishedAtNs: 0n, state: S.RUNNING };
  switch (found.status) {
    case 'created':
      return state === S.CREATING ? [{ state: S.CREATED }] : [];
    case 'running':
      return state === S.RUNNING && same ? [] : [run];
    case 'paused':
      if (state === S.PAUSED && same) return [];
      return state === S.RUNNING && same ? [{ state: S.PAUSED }] : [run, { state: S.PAUSED }];
    case 'exited':
      return []; // its end is told apart
  }
}

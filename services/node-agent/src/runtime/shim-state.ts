import { dataLoss } from '@atoll/errors';

export type ShimStatus = 'created' | 'running' | 'paused' | 'exited';

const STATUSES: readonly ShimStatus[] = ['created', 'running', 'paused', 'exited'];

/** How a process ended. */
export interface ProcessExit {
  /** 0 to 255; 128 + signal when a signal ended it (Docker's rule). */
  readonly code: number;
  /** Number of the signal that ended it, or 0. */
  readonly signal: number;
  /** The kernel's OOM killer struck in the container's cgroup. */
  readonly oomKilled: boolean;
  /** Unix time in nanoseconds; 0n when it never started. */
  readonly startedAt: bigint;
  readonly finishedAt: bigint;
}

export interface ShimState extends ProcessExit {
  readonly status: ShimStatus;
  /** Host pid of the process; 0 once it has ended. */
  readonly pid: number;
}

/** Payload of a STATE_IS or EXIT frame. */
export function decodeState(payload: Buffer): ShimState {
  const status = STATUSES[payload.length === 30 ? payload.readUInt8(0) : -1];
  if (status === undefined) {
    throw dataLoss('the shim sent a state of an unknown form');
  }
  return {
    status,
    pid: payload.readInt32LE(1),
    code: payload.readInt32LE(5),
    signal: payload.readInt32LE(9),
    oomKilled: payload.readUInt8(13) !== 0,
    startedAt: payload.readBigUInt64LE(14),
    finishedAt: payload.readBigUInt64LE(22),
  };
}

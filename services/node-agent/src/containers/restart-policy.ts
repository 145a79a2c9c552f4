import type { containerV1 } from '@atoll/proto';

export const FIRST_DELAY_MS = 100;
const MAXIMUM_DELAY_MS = 60_000;
/** A run as long as this is a success: the next pause is the first again (Docker's restart manager). */
const GOOD_RUN_MS = 10_000;

export interface EndedRun {
  readonly exitCode: number;
  readonly ranMs: number;
  /** Restarts by policy since the container was last started by a user. */
  readonly restarts: number;
  /** The pause before this run, 0 when a user started it. */
  readonly previousDelayMs: number;
  /** A user has stopped or killed it. */
  readonly stoppedByUser: boolean;
}

/** Milliseconds until the container is started again, or undefined when its policy lets it rest. */
export function restartDelay(policy: containerV1.RestartPolicy | undefined, run: EndedRun): number | undefined {
  if (run.stoppedByUser || !wantsRestart(policy, run)) return undefined;
  if (run.ranMs >= GOOD_RUN_MS || run.previousDelayMs === 0) return FIRST_DELAY_MS;
  return Math.min(run.previousDelayMs * 2, MAXIMUM_DELAY_MS);
}

function wantsRestart(policy: containerV1.RestartPolicy | undefined, run: EndedRun): boolean {
  switch (policy?.name) {
    case 'always':
    case 'unless-stopped':
      return true;
    case 'on-failure':
      return run.exitCode !== 0 && (policy.maximumRetryCount === 0 || run.restarts < policy.maximumRetryCount);
    default:
      return false;
  }
}

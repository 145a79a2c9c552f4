import { z } from 'zod';
import { nowNs } from '../processes/clock.ts';
import type { ProcessExit } from '../runtime/shim-state.ts';
import { endpointStatus } from './endpoint-status.ts';
import type { StatusChange } from './status-book.ts';

export interface ExitRecord extends ProcessExit {
  /** The supervisor was killed, or the host went down: the process is dead, nobody saw how it ended. */
  readonly lost: boolean;
}

const schema = z.object({
  code: z.number(),
  signal: z.number().default(0),
  oomKilled: z.boolean().default(false),
  startedAt: z.coerce.bigint(),
  finishedAt: z.coerce.bigint(),
  lost: z.boolean().default(false),
});

/** The exit file of a bundle; undefined when it is none. */
export function parseExitRecord(text: string): ExitRecord | undefined {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** For a run of which not even that is known. Docker's code. */
export function unknownExit(startedAt: bigint): ExitRecord {
  return { code: 255, signal: 0, oomKilled: false, startedAt, finishedAt: nowNs(), lost: true };
}

/** What a status says after the end of a run, but for the state. */
export function endOf(exit: ExitRecord): StatusChange {
  return {
    pid: 0,
    exitCode: exit.code,
    oomKilled: exit.oomKilled,
    finishedAtNs: exit.finishedAt,
    error: exit.lost
      ? 'the host went down or the supervisor of the container was killed: how it ended is not known'
      : '',
    ...endpointStatus(undefined),
    health: '',
  };
}

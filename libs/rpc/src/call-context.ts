import type { Peer } from './tls-identity.ts';

/** What a handler knows of its call. */
export interface CallContext {
  /** Aborted when the caller cancels, its deadline passes, its connection ends or the host stops. */
  readonly signal: AbortSignal;
  /** From the verified client certificate; undefined only on methods open to `anonymous`. */
  readonly peer: Peer | undefined;
  /** Unix time in ms, undefined without a deadline. */
  readonly deadlineMs: number | undefined;
}

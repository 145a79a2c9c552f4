import type { eventV1 } from '@atoll/proto';

export interface EventQuery {
  /** Unix ns; events at or after it, from before the call too. Not given: only what happens from now on. */
  readonly sinceNs?: bigint;
  /** Unix ns; the stream ends there, at once when it is past. */
  readonly untilNs?: bigint;
  readonly signal: AbortSignal;
}

/**
 * Docker events of the cluster, kept for a bounded time. At least once, in order per publisher; the stream lives in memory, so a
 * restart of its server forgets what was in it.
 */
export interface EventBus {
  /** Never waits. False: too many events wait already and this one is dropped. */
  publish(event: eventV1.Event): boolean;
  /** Resolves when all that was published before the call is in the stream. */
  flush(signal: AbortSignal): Promise<void>;
  /** Ends when `untilNs` is reached; throws the abort reason when `signal` aborts. Goes on by itself after a lost connection. */
  subscribe(query: EventQuery): AsyncIterable<eventV1.Event>;
  close(): Promise<void>;
}

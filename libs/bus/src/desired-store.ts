import type { AtollError } from '@atoll/errors';
import type { FeedSource } from './feed-source.ts';
import type { HeldLease, Lease } from './lease.ts';

/**
 * Desired state: a durable bucket with one writer at a time. Whoever holds the newest lease is the writer; each of its writes
 * names the sequence the whole stream must end at, so the first write after somebody else took over is refused by the store.
 */
export interface DesiredStore {
  /** Reads of all keys, in order of writing. */
  source(): FeedSource;
  /** The newest takeover, or undefined in a cluster that never had a leader. */
  readLease(signal: AbortSignal): Promise<HeldLease | undefined>;
  /**
   * Writes the lease if it still is the one of `seen` (undefined = there is none) and gives the right to write.
   * Errors: conflict when another replica took over first; unavailable when the store does not answer within its budget.
   */
  acquire(lease: Lease, seen: bigint | undefined, signal: AbortSignal): Promise<DesiredWriter>;
}

/**
 * The right to change desired state, until somebody else takes it. Writes happen one after the other in the order they were
 * asked for. A write that got no answer is settled by reading back before the next one is tried.
 * Errors of every write: unavailable (not the writer any more; the store does not answer; too many writes wait; `details.outcome`
 * is `unknown` when the write may or may not have happened), cancelled when `signal` aborts before the write began.
 */
export interface DesiredWriter {
  /** Revision of the lease write: travels with every order, agents refuse a lower one. */
  readonly epoch: bigint;
  /** Aborts when another writer took over or the chain broke; the reason is an unavailable AtollError. */
  readonly deposed: AbortSignal;
  /** Stores a value; its revision is the answer. */
  put(key: string, value: Uint8Array, signal?: AbortSignal): Promise<bigint>;
  /** Writes an explicit tombstone: the only thing that means "gone". */
  delete(key: string, signal?: AbortSignal): Promise<bigint>;
  /** Resolves, once every write asked for so far has landed or is known not to have, with the revision the chain ends at. */
  settled(): Promise<bigint>;
  /** Forgets the tombstone a key ended in at `revision`; a value written since stays. Errors: unavailable. */
  forget(key: string, revision: bigint): Promise<void>;
  /** No write after this; those that wait are refused with `reason`, by default that this replica shuts down. */
  close(reason?: AtollError): void;
}

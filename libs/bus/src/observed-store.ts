import type { FeedSource } from './feed-source.ts';

/**
 * Observed state: a memory bucket that may vanish with its server. Its writer remembers what it wrote and fills a new bucket
 * again by itself. Never ask it whether something may be deleted.
 */
export interface ObservedStore {
  source(): FeedSource;
  /** Makes the bucket when there is none, so that a feed of it can be live. */
  ensure(): Promise<void>;
  /** A writer with its own memory. Only the leader writes observed state; replicas write only their own lease beats. */
  writer(): ObservedWriter;
}

/** Makes the bytes of a value when they are written. */
export type EncodeValue = () => Uint8Array;

/** Writes without waiting: the newest value of each key reaches the bucket soon, values in between may be left out. */
export interface ObservedWriter {
  /** What `encode` makes must not change once it was handed over. */
  set(key: string, encode: EncodeValue): void;
  delete(key: string): void;
  /** Resolves when all that was set before the call is in the bucket. */
  flush(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

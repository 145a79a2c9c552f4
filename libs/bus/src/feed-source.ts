/** One thing a bucket says. Items come in order of revision. */
export type FeedItem =
  /** First item: which life of the bucket this is, and where it ends now. */
  | { readonly kind: 'opened'; readonly incarnation: string; readonly last: bigint }
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array; readonly revision: bigint }
  /** An explicit tombstone. Nothing else means that a key is gone. */
  | { readonly kind: 'delete'; readonly key: string; readonly revision: bigint }
  /** All that was there when the feed was opened has been said. */
  | { readonly kind: 'live' };

/** Where a feed reads from. */
export interface FeedSource {
  /**
   * Says everything newer than `after`, then what comes. Ends or throws when it can no longer promise completeness (connection
   * lost, bucket gone, a message missed): open it again from the last revision seen. Stops at once when `signal` aborts.
   */
  open(after: bigint, signal: AbortSignal): AsyncIterable<FeedItem>;
}

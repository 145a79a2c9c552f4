/**
 * Remembers bytes that can be had again some other way. It may be flushed, poisoned or absent at any moment: callers
 * check what they get against something they trust (a digest) and only ever lose time. No method throws: a cache that
 * is broken behaves like an empty one.
 */
export interface Cache {
  /** The value, undefined when there is none, when it has expired or when the cache cannot be asked in time. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Stores a value for at most `ttlMs` milliseconds (at least 1). A value that is too large is not stored. */
  set(key: string, value: Uint8Array, ttlMs: number): Promise<void>;
  delete(key: string): Promise<void>;
  /** Gives up connections; the cache is empty from then on. */
  close(): Promise<void>;
}

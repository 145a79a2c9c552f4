/** A stored value with the revision that compare-and-set needs. Revisions grow over the whole store. */
export interface StoredRecord {
  readonly value: Uint8Array;
  readonly revision: number;
}

/** What the watch reports: a value, or undefined for a deletion somebody asked for. */
export interface RecordChange {
  readonly key: string;
  readonly value: Uint8Array | undefined;
  readonly revision: number;
}

/**
 * The state of record for names: a durable key-value store with compare-and-set. Keys consist of parts joined by dots; a
 * part has only letters, digits, `-`, `_` and `=`. An acknowledged write survives a power cut. Errors of all methods:
 * unavailable (try again), deadline-exceeded.
 */
export interface RecordStore {
  /** The newest value; undefined when it was deleted or never was. */
  get(key: string): Promise<StoredRecord | undefined>;
  /** Stores a new key and answers its revision. Errors: conflict when the key has a value. */
  create(key: string, value: Uint8Array): Promise<number>;
  /** Replaces the value of exactly that revision. Errors: conflict when it is not the newest one. */
  update(key: string, value: Uint8Array, revision: number): Promise<number>;
  /** Deletes the value of exactly that revision; answers the revision of the deletion. Errors: conflict. */
  delete(key: string, revision: number): Promise<number>;
  /**
   * Calls `onChange` for every key and then for every change, in order, until the signal aborts; a value that was replaced
   * before it was reported may be left out. Survives lost connections, after which keys may be reported again. Resolves when all that was there at the call has been reported.
   */
  watch(onChange: (change: RecordChange) => void, signal: AbortSignal): Promise<void>;
  /** How many keys the store knows, deleted ones not yet forgotten included. */
  count(): Promise<number>;
  /** Forgets a deletion, unless the key has been written again. */
  forget(key: string, revision: number): Promise<void>;
}

/** What happened to one entry. `value` undefined: it was deleted. */
export interface MirrorChange<T> {
  readonly id: string;
  readonly value: T | undefined;
  readonly previous: T | undefined;
}

/**
 * A copy of one kind of state, fed by a watch and, through `apply`, by the answers of calls this gateway made; what is newer
 * wins. Only an explicit deletion removes an entry.
 */
export interface Mirror<T> {
  get(id: string): T | undefined;
  values(): Iterable<T>;
  /** `undefined` is a deletion. False: something newer is known. */
  apply(id: string, value: T | undefined, revision: bigint): boolean;
  /** @returns a function that ends the subscription */
  onChange(listener: (change: MirrorChange<T>) => void): () => void;
}

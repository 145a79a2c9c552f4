/** What is there, and what was there until a short time ago: it often comes back at once, and each change costs. */
export class Lingering<T> {
  readonly #ms: number;
  readonly #kept = new Map<string, { readonly value: T; readonly until: number }>();

  /** @param ms how long something is kept that is not there any more */
  constructor(ms: number) {
    this.#ms = ms;
  }

  /** When the first of what is not there is to go, on the clock of `keep`; infinite when all is there. */
  get next(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#kept.values()].map(({ until }) => until));
  }

  /** @param there all that is there now, by its key */
  keep(there: ReadonlyMap<string, T>, now = performance.now()): readonly T[] {
    for (const [key, value] of there) this.#kept.set(key, { value, until: Number.POSITIVE_INFINITY });
    for (const [key, { value, until }] of this.#kept) {
      if (there.has(key)) continue;
      if (until === Number.POSITIVE_INFINITY) this.#kept.set(key, { value, until: now + this.#ms });
      else if (until <= now) this.#kept.delete(key);
    }
    return [...this.#kept.values()].map(({ value }) => value);
  }
}

import { resourceExhausted } from '@atoll/errors';

/** A token bucket on the monotonic clock. */
export class RateLimit {
  readonly #perSecond: number;
  readonly #burst: number;
  #left: number;
  #last = performance.now();

  constructor(options: { readonly perSecond: number; readonly burst: number }) {
    this.#perSecond = options.perSecond;
    this.#burst = options.burst;
    this.#left = options.burst;
  }

  /** Errors: resource-exhausted. */
  take(what: string): void {
    const now = performance.now();
    this.#left = Math.min(this.#burst, this.#left + ((now - this.#last) / 1_000) * this.#perSecond);
    this.#last = now;
    if (this.#left < 1) throw resourceExhausted(`too many ${what}; try again in a moment`);
    this.#left -= 1;
  }
}

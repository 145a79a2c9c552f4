import { resourceExhausted } from '@atoll/errors';

/** What the indexes of all running builds may keep in memory together, in bytes (estimated). */
export class MemoryBudget {
  readonly #limit: number;
  #taken = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Throws resource-exhausted when it would be too much. */
  take(bytes: number): void {
    if (this.#taken + bytes > this.#limit) {
      throw resourceExhausted(
        'the build contexts have too many or too long names to be indexed in memory; leave files out by .dockerignore or try again later',
      );
    }
    this.#taken += bytes;
  }

  give(bytes: number): void {
    this.#taken -= bytes;
  }
}

import { setTimeout as sleep } from 'node:timers/promises';

/** Growing pauses between attempts: doubled each time up to a maximum, spread by half so that many nodes do not come at once. */
export class BackOff {
  readonly #firstMs: number;
  readonly #maximumMs: number;
  #nextMs: number;

  constructor(firstMs: number, maximumMs: number) {
    this.#firstMs = firstMs;
    this.#maximumMs = maximumMs;
    this.#nextMs = firstMs;
  }

  reset(): void {
    this.#nextMs = this.#firstMs;
  }

  /** Rejects with the signal's reason when it aborts. */
  async pause(signal: AbortSignal): Promise<void> {
    const length = this.#nextMs * (0.5 + Math.random() / 2);
    this.#nextMs = Math.min(this.#nextMs * 2, this.#maximumMs);
    await sleep(length, undefined, { signal });
  }
}

import { resourceExhausted } from '@atoll/errors';

/** Bounds how many builds run at once and how many may wait; first come, first served. */
export class BuildQueue {
  readonly #running: number;
  readonly #waiting: number;
  readonly #queue: (() => void)[] = [];
  #active = 0;

  constructor(limits: { readonly running: number; readonly waiting: number }) {
    this.#running = limits.running;
    this.#waiting = limits.waiting;
  }

  /** Waits for a turn; dispose it when the build is over. Throws resource-exhausted when too many wait already. */
  async enter(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#active < this.#running) this.#active++;
    else await this.#wait(signal);
    let left = false;
    return {
      [Symbol.dispose]: () => {
        if (left) return;
        left = true;
        const next = this.#queue.shift();
        // The turn goes straight to the next one, so nobody slips in between.
        if (next) next();
        else this.#active--;
      },
    };
  }

  #wait(signal: AbortSignal): Promise<void> {
    if (this.#queue.length >= this.#waiting) {
      throw resourceExhausted(
        `${this.#active} builds run and ${this.#queue.length} wait already; try again when some are done`,
      );
    }
    return new Promise((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
      const abort = (): void => {
        this.#queue.splice(this.#queue.indexOf(go), 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#queue.push(go);
    });
  }
}

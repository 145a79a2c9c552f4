/**
 * Bounds how many stages of a build work at once, in stage order. The stage whose output is being shown is never kept waiting:
 * later stages may be held up by their full output buffers until it is done.
 */
export class Slots {
  readonly #limit: number;
  #taken = 0;
  readonly #waiting: { readonly stage: number; readonly go: () => void }[] = [];
  #live: number;

  constructor(limit: number, live: number) {
    this.#limit = limit;
    this.#live = live;
  }

  async take(stage: number, signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#taken < this.#limit || stage === this.#live) this.#taken++;
    else await this.#wait(stage, signal);
    let given = true;
    return {
      [Symbol.dispose]: () => {
        if (given) this.#taken--;
        given = false;
        this.#wake();
      },
    };
  }

  /** From now on this stage's output is shown. */
  show(stage: number): void {
    this.#live = stage;
    this.#wake();
  }

  #wait(stage: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const entry = {
        stage,
        go: () => {
          signal.removeEventListener('abort', abort);
          this.#waiting.splice(this.#waiting.indexOf(entry), 1);
          this.#taken++;
          resolve();
        },
      };
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.push(entry);
      this.#waiting.sort((a, b) => a.stage - b.stage);
    });
  }

  #wake(): void {
    this.#waiting.find(({ stage }) => stage === this.#live)?.go();
    while (this.#taken < this.#limit && this.#waiting.length > 0) this.#waiting[0]?.go();
  }
}

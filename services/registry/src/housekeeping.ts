export interface HousekeepingOptions {
  readonly intervalMs: number;
  readonly collect: (signal: AbortSignal) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

const SOON_MS = 1_000;

/** Collects garbage at intervals and soon after something was removed; one collection at a time. */
export class Housekeeping {
  readonly #options: HousekeepingOptions;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #current: Promise<void> = Promise.resolve();

  constructor(options: HousekeepingOptions) {
    this.#options = options;
  }

  start(): void {
    this.#schedule(this.#options.intervalMs);
  }

  soon(): void {
    this.#schedule(Math.min(SOON_MS, this.#options.intervalMs));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await this.#current;
  }

  #schedule(delayMs: number): void {
    if (this.#stop.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#current = this.#current.then(() => this.#run());
    }, delayMs);
  }

  async #run(): Promise<void> {
    try {
      await this.#options.collect(this.#stop.signal);
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#options.onError(error);
    }
    this.#schedule(this.#options.intervalMs);
  }
}

/** The pause before a restart by policy, and how long the last one was. */
export class RestartTimer {
  #timer: NodeJS.Timeout | undefined;
  #delayMs = 0;

  /** The pause before the present run; 0 when a user started it. */
  get delayMs(): number {
    return this.#delayMs;
  }

  set(delayMs: number, restart: () => void): void {
    clearTimeout(this.#timer);
    this.#delayMs = delayMs;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      restart();
    }, delayMs);
  }

  /** True when a restart was waiting; it will not come. */
  cancel(): boolean {
    const waiting = this.#timer !== undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return waiting;
  }

  reset(): void {
    this.cancel();
    this.#delayMs = 0;
  }
}

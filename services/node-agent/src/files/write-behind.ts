/**
 * Writes something a little after it has changed, so that what changes many times in a moment is written once. When the process is
 * killed the changes of that moment are lost: only for what can be known again without them.
 */
export class WriteBehind {
  readonly #write: () => Promise<void>;
  readonly #delayMs: number;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #dirty = false;
  #closed = false;

  /** `write` writes the newest state and never rejects. */
  constructor(write: () => Promise<void>, delayMs: number) {
    this.#write = write;
    this.#delayMs = delayMs;
  }

  /** There is something new. */
  mark(): void {
    if (this.#closed) return;
    this.#dirty = true;
    this.#timer ??= setTimeout(() => void this.flush(), this.#delayMs);
  }

  /** Resolves when the newest is written. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(async () => {
      if (!this.#dirty) return;
      this.#dirty = false;
      await this.#write();
    });
    return this.#writing;
  }

  /** Drops what waits; resolves when nothing is written any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#dirty = false;
    clearTimeout(this.#timer);
    await this.#writing;
  }
}

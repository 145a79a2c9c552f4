import { type FSWatcher, watch } from 'node:fs';

const POLL_MILLISECONDS = 500;

/** Tells when something in a folder may have changed: by watching it, and at least twice a second. */
export class DirectoryChange implements Disposable {
  readonly #watcher: FSWatcher | undefined;
  #changed = false;
  #wake: () => void = () => {};

  constructor(directory: string) {
    // Watches are a limited resource of the host: without one, polling alone has to do.
    try {
      this.#watcher = watch(directory, { persistent: false }, () => this.#notify());
      this.#watcher.on('error', () => {});
    } catch {
      this.#watcher = undefined;
    }
  }

  /** Resolves at the next change since the last call, after the poll time, or when a signal aborts. */
  async wait(...signals: readonly (AbortSignal | undefined)[]): Promise<void> {
    if (this.#changed || signals.some((signal) => signal?.aborted)) {
      this.#changed = false;
      return;
    }
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        for (const signal of signals) signal?.removeEventListener('abort', done);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(done, POLL_MILLISECONDS);
      for (const signal of signals) signal?.addEventListener('abort', done, { once: true });
      this.#wake = done;
    });
    this.#changed = false;
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
  }

  #notify(): void {
    this.#changed = true;
    this.#wake();
  }
}

/** Runs tasks one after the other in the order they came. A task that fails does not stop the next. */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  /** Resolves when all that was queued before has ended. */
  async idle(): Promise<void> {
    await this.#tail;
  }
}

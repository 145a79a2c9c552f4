import { internal } from '@atoll/errors';

/**
 * A bounded queue between one who pushes and one who iterates: how events become a stream without losing backpressure.
 * One consumer. After `end()` what is queued is still delivered; after `end(error)` the iteration then throws it.
 */
export class AsyncQueue<T> implements AsyncIterable<T>, AsyncIterator<T> {
  readonly #limit: number;
  readonly #items: T[] = [];
  #ended = false;
  #error: unknown;
  #reader: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void } | undefined;
  readonly #room: Array<() => void> = [];

  constructor(limit: number) {
    if (!(limit >= 1)) throw internal('a queue needs room for at least one item');
    this.#limit = limit;
  }

  get size(): number {
    return this.#items.length;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** False when the queue is full or ended: the item was not taken. */
  push(item: T): boolean {
    if (this.#ended) return false;
    if (this.#reader) {
      const reader = this.#reader;
      this.#reader = undefined;
      reader.resolve({ value: item, done: false });
      return true;
    }
    if (this.#items.length >= this.#limit) return false;
    this.#items.push(item);
    return true;
  }

  /** Waits for room. Resolves false when the queue has ended; rejects with the signal's reason when that aborts first. */
  async pushWait(item: T, signal?: AbortSignal): Promise<boolean> {
    while (!this.push(item)) {
      if (this.#ended) return false;
      signal?.throwIfAborted();
      await new Promise<void>((resolve, reject) => {
        // Who has given up is not to be woken in the place of one who waits.
        const abort = (): void => {
          this.#room.splice(this.#room.indexOf(go), 1);
          reject(signal?.reason);
        };
        const go = (): void => {
          signal?.removeEventListener('abort', abort);
          resolve();
        };
        signal?.addEventListener('abort', abort, { once: true });
        this.#room.push(go);
      });
    }
    return true;
  }

  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader) {
      if (error === undefined) reader.resolve({ value: undefined, done: true });
      else reader.reject(error);
    }
    for (const go of this.#room.splice(0)) go();
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return this;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#items.length > 0) {
      const value = this.#items.shift() as T;
      this.#room.shift()?.();
      return Promise.resolve({ value, done: false });
    }
    if (this.#ended) {
      return this.#error === undefined
        ? Promise.resolve({ value: undefined, done: true })
        : Promise.reject(this.#error);
    }
    if (this.#reader) return Promise.reject(internal('the queue is being read already'));
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  /** The consumer is done: producers learn by `push` answering false. */
  return(): Promise<IteratorResult<T>> {
    this.#items.length = 0;
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }
}

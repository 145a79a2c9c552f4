import { resourceExhausted } from '@atoll/errors';

const MAX_WAITING = 64;

/** One task at a time for each key, in the order asked for; tasks of different keys do not wait for each other. */
export class KeyedQueue {
  readonly #tails = new Map<string, { readonly done: Promise<void>; waiting: number }>();

  /** Errors: resource-exhausted when too many wait for the key, the signal's reason when it aborts before the turn came. */
  async run<T>(key: string, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const before = this.#tails.get(key);
    if (before && before.waiting >= MAX_WAITING)
      throw resourceExhausted(`too many requests wait for ${key}; try again`);
    let finish = (): void => {};
    const entry = {
      done: new Promise<void>((resolve) => {
        finish = resolve;
      }),
      waiting: (before?.waiting ?? 0) + 1,
    };
    this.#tails.set(key, entry);
    try {
      await before?.done;
      signal.throwIfAborted();
      return await task();
    } finally {
      finish();
      if (this.#tails.get(key) === entry) this.#tails.delete(key);
    }
  }
}

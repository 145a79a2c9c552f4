import { resourceExhausted } from '@atoll/errors';

const MAX_WAITING = 64;

interface Line {
  /** Resolves when all that is in the line now is done. */
  tail: Promise<void>;
  length: number;
}

/** One task at a time for each key, in the order asked for; tasks of different keys do not wait for each other. */
export class KeyedQueue {
  readonly #lines = new Map<string, Line>();

  /** Errors: resource-exhausted when too many wait for the key, the signal's reason when it aborts before the turn came. */
  async run<T>(key: string, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const line = this.#lines.get(key) ?? { tail: Promise.resolve(), length: 0 };
    if (line.length > MAX_WAITING) throw resourceExhausted(`too many requests wait for ${key}; try again`);
    this.#lines.set(key, line);
    const before = line.tail;
    let finish = (): void => {};
    line.tail = new Promise<void>((resolve) => {
      finish = resolve;
    });
    line.length++;
    try {
      await before;
      signal.throwIfAborted();
      return await task();
    } finally {
      finish();
      line.length--;
      if (line.length === 0) this.#lines.delete(key);
    }
  }
}

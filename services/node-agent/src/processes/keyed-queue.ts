import { SerialQueue } from './serial-queue.ts';

/** A `SerialQueue` for each key that has tasks. */
export class KeyedQueue {
  readonly #lines = new Map<string, { readonly queue: SerialQueue; waiting: number }>();

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(key) ?? { queue: new SerialQueue(), waiting: 0 };
    this.#lines.set(key, line);
    line.waiting++;
    try {
      return await line.queue.run(task);
    } finally {
      line.waiting--;
      if (line.waiting === 0) this.#lines.delete(key);
    }
  }
}

import type { FeedSource } from '../feed-source.ts';
import type { ObservedStore, ObservedWriter } from '../observed-store.ts';
import { MemoryBucket } from './memory-bucket.ts';

/** Observed state in this process. */
export class MemoryObservedStore implements ObservedStore {
  readonly #bucket = new MemoryBucket();

  source(): FeedSource {
    return this.#bucket;
  }

  async ensure(): Promise<void> {}

  writer(): ObservedWriter {
    const bucket = this.#bucket;
    return {
      set: (key, encode) => {
        bucket.write(key, encode());
      },
      delete: (key) => {
        bucket.write(key, undefined);
      },
      flush: async (signal) => signal.throwIfAborted(),
      close: async () => {},
    };
  }
}

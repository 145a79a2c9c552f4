import type { FeedItem, FeedSource } from '../feed-source.ts';

interface Stored {
  readonly value: Uint8Array | undefined;
  readonly revision: bigint;
}

/** A bucket in this process, with the semantics of a JetStream one with history 1. */
export class MemoryBucket implements FeedSource {
  readonly #incarnation: string;
  readonly #keys = new Map<string, Stored>();
  readonly #readers = new Set<() => void>();
  #last = 0n;

  constructor(incarnation = 'memory') {
    this.#incarnation = incarnation;
  }

  get last(): bigint {
    return this.#last;
  }

  get(key: string): Stored | undefined {
    return this.#keys.get(key);
  }

  /** Undefined writes a tombstone. */
  write(key: string, value: Uint8Array | undefined): bigint {
    this.#last++;
    this.#keys.delete(key);
    this.#keys.set(key, { value, revision: this.#last });
    for (const wake of this.#readers) wake();
    return this.#last;
  }

  forget(key: string): void {
    this.#keys.delete(key);
  }

  async *open(after: bigint, signal: AbortSignal): AsyncGenerator<FeedItem> {
    yield { kind: 'opened', incarnation: this.#incarnation, last: this.#last };
    let seen = after;
    let live = false;
    while (!signal.aborted) {
      const changed = new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#readers.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#readers.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
      for (const [key, { value, revision }] of [...this.#keys]) {
        if (revision <= seen) continue;
        seen = revision;
        yield value === undefined ? { kind: 'delete', key, revision } : { kind: 'put', key, value, revision };
      }
      if (!live) yield { kind: 'live' };
      live = true;
      await changed;
    }
  }
}

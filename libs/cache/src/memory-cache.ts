import type { Cache } from './cache.ts';

export interface MemoryCacheOptions {
  /** Bytes of all keys and values; the least recently used go first. */
  readonly maxBytes: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now?: () => number;
}

interface Entry {
  readonly value: Uint8Array;
  readonly expiresAt: number;
}

/** What an entry costs beyond its bytes, roughly: keeps a million empty values from being free. */
const ENTRY_OVERHEAD = 128;

/** In-process cache, bounded by bytes. */
export class MemoryCache implements Cache {
  readonly #entries = new Map<string, Entry>();
  readonly #maxBytes: number;
  readonly #now: () => number;
  #bytes = 0;

  constructor(options: MemoryCacheOptions) {
    this.#maxBytes = options.maxBytes;
    this.#now = options.now ?? (() => performance.now());
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#drop(key);
    if (entry.expiresAt <= this.#now()) return undefined;
    this.#keep(key, entry);
    return entry.value;
  }

  async set(key: string, value: Uint8Array, ttlMs: number): Promise<void> {
    this.#drop(key);
    if (cost(key, value) > this.#maxBytes) return;
    this.#keep(key, { value, expiresAt: this.#now() + Math.max(1, ttlMs) });
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#drop(oldest);
    }
  }

  async delete(key: string): Promise<void> {
    this.#drop(key);
  }

  async close(): Promise<void> {
    this.#entries.clear();
    this.#bytes = 0;
  }

  #keep(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
    this.#bytes += cost(key, entry.value);
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= cost(key, entry.value);
  }
}

function cost(key: string, value: Uint8Array): number {
  return key.length * 2 + value.byteLength + ENTRY_OVERHEAD;
}

import { type BusLog, SILENT_LOG } from './bus-log.ts';
import type { Collection } from './collection.ts';
import type { FeedItem } from './feed-source.ts';

/** What happened to one entry. `value` undefined: an explicit tombstone. */
export interface MirrorChange<T> {
  readonly id: string;
  readonly value: T | undefined;
  readonly previous: T | undefined;
  readonly revision: bigint;
}

interface Entry<T> {
  readonly value: T;
  readonly revision: bigint;
}

/** How many tombstones are remembered, so that an answer that arrives late brings nothing back. */
const MAX_TOMBSTONES = 16_384;

/**
 * All entries of one kind, kept current by a `Feed`, and told at once by `apply` what an RPC has just answered: then a client
 * reads its own writes. Whatever is newer wins; only tombstones remove.
 */
export class Mirror<T> {
  readonly #collection: Collection<T>;
  readonly #log: BusLog;
  readonly #entries = new Map<string, Entry<T>>();
  readonly #tombstones = new Map<string, bigint>();
  readonly #listeners = new Set<(change: MirrorChange<T>) => void>();

  constructor(collection: Collection<T>, log: BusLog = SILENT_LOG) {
    this.#collection = collection;
    this.#log = log;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(id: string): T | undefined {
    return this.#entries.get(id)?.value;
  }

  /** Revision an entry was stored at. */
  revisionOf(id: string): bigint | undefined {
    return this.#entries.get(id)?.revision;
  }

  /** Was an explicit deletion of this id seen (and not followed by a new value)? */
  isTombstoned(id: string): boolean {
    return this.#tombstones.has(id);
  }

  *values(): Generator<T> {
    for (const entry of this.#entries.values()) yield entry.value;
  }

  /** Hears each change after it is in the mirror. The answer stops it. A listener must not throw. */
  onChange(listener: (change: MirrorChange<T>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What an answer said: a value, or undefined for a deletion. False when something newer is known already. */
  apply(id: string, value: T | undefined, revision: bigint): boolean {
    const current = this.#entries.get(id);
    if (value === undefined) {
      if (current && !this.#collection.supersedes && current.revision > revision) return false;
      return this.#remove(id, revision);
    }
    const buried = this.#tombstones.get(id);
    if (buried !== undefined && (this.#collection.supersedes || buried > revision)) return false;
    return this.#put(id, value, revision);
  }

  /** An item of the feed. A value that cannot be decoded is reported and changes nothing. */
  deliver(item: FeedItem & { kind: 'put' | 'delete' }, id: string): void {
    if (item.kind === 'delete') {
      const current = this.#entries.get(id);
      if (current && !this.#collection.supersedes && current.revision > item.revision) return;
      this.#remove(id, item.revision);
      return;
    }
    // Mostly the echo of what an answer told already: it need not be decoded.
    const known = this.#entries.get(id);
    if (known && !this.#collection.supersedes && known.revision >= item.revision) return;
    let value: T;
    try {
      value = this.#collection.decode(item.value, item.revision);
    } catch (error) {
      this.#log.error(
        { key: item.key, revision: String(item.revision), err: error },
        'a stored value is not readable and is left out',
      );
      return;
    }
    const buried = this.#tombstones.get(id);
    if (buried !== undefined) {
      if (!this.#collection.supersedes && buried > item.revision) return;
      this.#tombstones.delete(id);
    }
    this.#put(id, value, item.revision);
  }

  #put(id: string, value: T, revision: bigint): boolean {
    const current = this.#entries.get(id);
    if (current) {
      const newer = this.#collection.supersedes
        ? this.#collection.supersedes(value, current.value)
        : revision > current.revision;
      if (!newer) return false;
    }
    this.#entries.set(id, { value, revision });
    this.#tell({ id, value, previous: current?.value, revision });
    return true;
  }

  #remove(id: string, revision: bigint): boolean {
    this.#tombstones.delete(id);
    this.#tombstones.set(id, revision);
    if (this.#tombstones.size > MAX_TOMBSTONES) {
      for (const oldest of this.#tombstones.keys()) {
        this.#tombstones.delete(oldest);
        break;
      }
    }
    const current = this.#entries.get(id);
    if (!current) return false;
    this.#entries.delete(id);
    this.#tell({ id, value: undefined, previous: current.value, revision });
    return true;
  }

  #tell(change: MirrorChange<T>): void {
    for (const listener of this.#listeners) listener(change);
  }
}

import { conflict } from '@atoll/errors';
import type { RecordChange, RecordStore, StoredRecord } from '../../domain/records/record-store.ts';

/** The contract in memory, for tests of the domain. Not durable. */
export class MemoryRecordStore implements RecordStore {
  readonly #entries = new Map<string, RecordChange>();
  readonly #watchers = new Set<(change: RecordChange) => void>();
  #revision = 0;

  async get(key: string): Promise<StoredRecord | undefined> {
    const entry = this.#entries.get(key);
    return entry?.value === undefined ? undefined : { value: entry.value, revision: entry.revision };
  }

  async create(key: string, value: Uint8Array): Promise<number> {
    if (this.#entries.get(key)?.value !== undefined) throw conflict(`the record ${key} exists`);
    return this.#write(key, value);
  }

  async update(key: string, value: Uint8Array, revision: number): Promise<number> {
    this.#expect(key, revision);
    return this.#write(key, value);
  }

  async delete(key: string, revision: number): Promise<number> {
    this.#expect(key, revision);
    return this.#write(key, undefined);
  }

  async watch(onChange: (change: RecordChange) => void, signal: AbortSignal): Promise<void> {
    for (const change of [...this.#entries.values()].sort((a, b) => a.revision - b.revision)) onChange(change);
    this.#watchers.add(onChange);
    signal.addEventListener('abort', () => this.#watchers.delete(onChange), { once: true });
  }

  async count(): Promise<number> {
    return this.#entries.size;
  }

  async forget(key: string, revision: number): Promise<void> {
    const entry = this.#entries.get(key);
    if (entry !== undefined && entry.value === undefined && entry.revision <= revision) this.#entries.delete(key);
  }

  #expect(key: string, revision: number): void {
    if (this.#entries.get(key)?.revision !== revision) throw conflict(`the record ${key} has changed`);
  }

  #write(key: string, value: Uint8Array | undefined): number {
    this.#revision += 1;
    const change = { key, value, revision: this.#revision };
    this.#entries.set(key, change);
    for (const watcher of this.#watchers) queueMicrotask(() => watcher(change));
    return change.revision;
  }
}

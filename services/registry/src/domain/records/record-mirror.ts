import { conflict, hasReason } from '@atoll/errors';
import type { RecordChange, RecordStore, StoredRecord } from './record-store.ts';

const MAX_TRIES = 64;

/** What a change of a record can be: a new value, its deletion, or nothing to do. */
export type Decision = { readonly put: Uint8Array } | 'delete' | 'keep';

/** `isNew`: the mirror did not have the key before. */
export type OnRecordChange = (key: string, value: Uint8Array | undefined, isNew: boolean) => void;

/**
 * All records in memory, fed by the store's watch and by our own acknowledged writes. Reads cost nothing and see our own
 * writes; a record leaves only by an explicit deletion, never because the store did not mention it.
 */
export class RecordMirror {
  readonly #store: RecordStore;
  readonly #records = new Map<string, StoredRecord>();
  /** Our deletions whose echo has not come yet: an older value must not come back. */
  readonly #deleted = new Map<string, number>();
  /** Deletions the store still has, and when they were seen. */
  readonly #gone = new Map<string, { readonly revision: number; readonly seenAt: number }>();
  #onChange: OnRecordChange = () => undefined;

  constructor(store: RecordStore) {
    this.#store = store;
  }

  /** Reads everything; resolves when the mirror is complete. `onChange` hears of every change, now and later. */
  async start(onChange: OnRecordChange, signal: AbortSignal): Promise<void> {
    this.#onChange = onChange;
    await this.#store.watch((change) => this.#apply(change, true), signal);
  }

  /** How many keys were ever reported, deleted ones included. */
  get known(): number {
    return this.#records.size + this.#gone.size;
  }

  keys(): IterableIterator<string> {
    return this.#records.keys();
  }

  peek(key: string): StoredRecord | undefined {
    return this.#records.get(key);
  }

  /** The record; what the mirror does not have is looked up, since another registry may just have written it. */
  async find(key: string): Promise<StoredRecord | undefined> {
    return this.#records.get(key) ?? this.refresh(key);
  }

  /** Lets the store forget the deletions seen at least `ageMs` ago: by then every mirror has them. */
  async compact(ageMs: number): Promise<void> {
    for (const [key, { revision, seenAt }] of this.#gone) {
      if (performance.now() - seenAt < ageMs) continue;
      await this.#store.forget(key, revision);
      this.#gone.delete(key);
    }
  }

  /** The record as the store has it now. */
  async refresh(key: string): Promise<StoredRecord | undefined> {
    const record = await this.#store.get(key);
    if (record !== undefined) this.#apply({ key, ...record }, false);
    return record;
  }

  /**
   * Changes one record by compare-and-set: `decide` sees the newest value and is asked again when another writer was
   * faster. Durable when it resolves. Answers whether something was written. Errors: conflict after too many tries.
   */
  async change(key: string, decide: (current: Uint8Array | undefined) => Decision): Promise<boolean> {
    let current = this.peek(key);
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const decision = decide(current?.value);
      if (decision === 'keep' || (decision === 'delete' && current === undefined)) return false;
      try {
        await this.#write(key, decision, current);
        return true;
      } catch (error) {
        if (!hasReason(error, 'conflict')) throw error;
        current = await this.refresh(key);
      }
    }
    throw conflict(`too many writers change ${key} at once; try again`);
  }

  async #write(key: string, decision: Exclude<Decision, 'keep'>, current: StoredRecord | undefined): Promise<void> {
    if (decision === 'delete') {
      const revision = await this.#store.delete(key, current?.revision ?? 0);
      this.#apply({ key, value: undefined, revision }, false);
      return;
    }
    const revision = await (current === undefined
      ? this.#store.create(key, decision.put)
      : this.#store.update(key, decision.put, current.revision));
    this.#apply({ key, value: decision.put, revision }, false);
  }

  #apply(change: RecordChange, echo: boolean): void {
    const { key, value, revision } = change;
    const deletedAt = this.#deleted.get(key) ?? 0;
    if (echo && deletedAt > 0 && revision >= deletedAt) this.#deleted.delete(key);
    if (revision <= Math.max(this.#records.get(key)?.revision ?? 0, deletedAt)) return;
    const isNew = !this.#records.has(key);
    if (value === undefined) {
      this.#gone.set(key, { revision, seenAt: performance.now() });
      if (!echo) this.#deleted.set(key, revision);
      this.#records.delete(key);
      if (isNew) return;
    } else {
      this.#gone.delete(key);
      this.#records.set(key, { value, revision });
    }
    this.#onChange(key, value, isNew);
  }
}

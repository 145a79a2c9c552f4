import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  BucketSource,
  type Bus,
  ensureBucket,
  findBucket,
  isWrongSequence,
  OPERATION_BUDGET_MS,
  OPERATION_HEADER,
  streamOf,
  subjectOf,
} from '@atoll/bus';
import { conflict, hasReason, unavailable } from '@atoll/errors';
import { headers } from '@nats-io/transport-node';
import type { RecordChange, RecordStore, StoredRecord } from '../../domain/records/record-store.ts';

const RETRY_MS = 100;

export interface NatsRecordStoreOptions {
  readonly bucket: string;
  /** 1, or 3 in a NATS cluster of three. */
  readonly replicas: number;
}

/** Records in a JetStream key-value bucket with file storage and a history of one. */
export class NatsRecordStore implements RecordStore {
  readonly #bus: Bus;
  readonly #bucket: string;

  private constructor(bus: Bus, bucket: string) {
    this.#bus = bus;
    this.#bucket = bucket;
  }

  /** Makes the bucket when there is none. Errors: unavailable, failed-precondition (it is not on files). */
  static async open(bus: Bus, options: NatsRecordStoreOptions, signal?: AbortSignal): Promise<NatsRecordStore> {
    await withBudget(
      () => ensureBucket(bus, { name: options.bucket, storage: 'file', replicas: options.replicas }),
      signal,
    );
    return new NatsRecordStore(bus, options.bucket);
  }

  async get(key: string): Promise<StoredRecord | undefined> {
    const message = await this.#last(key);
    if (message === null || message.header.get(OPERATION_HEADER) !== '') return undefined;
    return { value: message.data, revision: message.seq };
  }

  async create(key: string, value: Uint8Array): Promise<number> {
    try {
      return await this.#publish(key, value, 0);
    } catch (error) {
      if (!hasReason(error, 'conflict')) throw error;
    }
    // Not new: it has a value, or a deletion the store still remembers.
    const message = await this.#last(key);
    if (message === null || message.header.get(OPERATION_HEADER) === '') throw conflict(`the record ${key} exists`);
    return await this.#publish(key, value, message.seq);
  }

  update(key: string, value: Uint8Array, revision: number): Promise<number> {
    return this.#publish(key, value, revision);
  }

  delete(key: string, revision: number): Promise<number> {
    return this.#publish(key, undefined, revision);
  }

  async watch(onChange: (change: RecordChange) => void, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      void this.#follow(onChange, resolve, signal);
    });
  }

  async count(): Promise<number> {
    const info = await findBucket(this.#bus, this.#bucket);
    if (info === undefined) throw unavailable(`the bucket ${this.#bucket} is missing`);
    return info.state.messages;
  }

  async forget(key: string, revision: number): Promise<void> {
    const filter = subjectOf(this.#bucket, key);
    await this.#bus.manager.streams.purge(streamOf(this.#bucket), { filter, seq: revision + 1 });
  }

  /** The newest message of a key, as the stream's leader has it. */
  #last(key: string) {
    return withBudget(async () => {
      try {
        const query = { last_by_subj: subjectOf(this.#bucket, key) };
        return await this.#bus.manager.streams.getMessage(streamOf(this.#bucket), query);
      } catch (cause) {
        throw unavailable(`the record ${key} cannot be read`, { cause });
      }
    });
  }

  async #follow(onChange: (change: RecordChange) => void, onComplete: () => void, signal: AbortSignal): Promise<void> {
    const source = new BucketSource(this.#bus, this.#bucket);
    let last = 0n;
    while (!signal.aborted) {
      try {
        for await (const item of source.open(last, signal)) {
          if (item.kind === 'live') onComplete();
          if (item.kind === 'put' || item.kind === 'delete') {
            const value = item.kind === 'put' ? item.value : undefined;
            onChange({ key: item.key, value, revision: Number(item.revision) });
            last = item.revision;
          }
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#bus.log.warn({ err: error }, 'the watch of the registry names ended; it starts again');
      }
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One compare-and-set. A retry carries the same message id, so that an unanswered write that landed counts once. */
  async #publish(key: string, value: Uint8Array | undefined, revision: number): Promise<number> {
    const msgID = randomUUID();
    const subject = subjectOf(this.#bucket, key);
    return await withBudget(async () => {
      try {
        const ack = await this.#bus.jetstream.publish(subject, value ?? new Uint8Array(), {
          msgID,
          expect: { lastSubjectSequence: revision },
          ...(value === undefined ? { headers: deletion() } : {}),
        });
        return ack.seq;
      } catch (cause) {
        if (isWrongSequence(cause)) throw conflict(`the record ${key} has changed`, { cause });
        throw unavailable(`the record ${key} cannot be written`, { cause });
      }
    });
  }
}

function deletion() {
  const header = headers();
  header.set(OPERATION_HEADER, 'DEL');
  return header;
}

/** Repeats what is unavailable until the budget is used up: a failover of the NATS cluster takes seconds. */
async function withBudget<T>(operation: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const deadline = performance.now() + OPERATION_BUDGET_MS;
  for (;;) {
    try {
      return await operation();
    } catch (error) {
      signal?.throwIfAborted();
      if (!hasReason(error, 'unavailable') || performance.now() > deadline) throw error;
      await sleep(RETRY_MS);
    }
  }
}

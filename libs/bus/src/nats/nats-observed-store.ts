import { setTimeout as sleep } from 'node:timers/promises';
import { headers } from '@nats-io/transport-node';
import type { FeedSource } from '../feed-source.ts';
import type { EncodeValue, ObservedStore, ObservedWriter } from '../observed-store.ts';
import { ensureBucket, OPERATION_HEADER, streamOf, subjectOf } from './bucket.ts';
import { BucketSource } from './bucket-source.ts';
import type { Bus } from './connection.ts';

export interface ObservedStoreOptions {
  /** `atoll_observed` */
  readonly bucket?: string;
  readonly replicas?: number;
}

/** Observed state in a JetStream bucket with memory storage. */
export class NatsObservedStore implements ObservedStore {
  readonly #bus: Bus;
  readonly #bucket: string;
  readonly #replicas: number;

  constructor(bus: Bus, options: ObservedStoreOptions = {}) {
    this.#bus = bus;
    this.#bucket = options.bucket ?? 'atoll_observed';
    this.#replicas = options.replicas ?? 1;
  }

  source(): FeedSource {
    return new BucketSource(this.#bus, this.#bucket);
  }

  async ensure(): Promise<void> {
    await ensureBucket(this.#bus, { name: this.#bucket, storage: 'memory', replicas: this.#replicas });
  }

  writer(): ObservedWriter {
    return new NatsObservedWriter(this.#bus, this.#bucket, this.#replicas);
  }
}

const BATCH = 256;
const RETRY_MS = 200;
/** A server that ended shows as a lost connection; in a cluster the bucket may be gone without one. */
const CHECK_MS = 10_000;
const MAX_TOMBSTONES = 8_192;

class NatsObservedWriter implements ObservedWriter {
  readonly #bus: Bus;
  readonly #bucket: string;
  readonly #replicas: number;
  readonly #abort = new AbortController();
  /** All that is in the bucket by this writer; undefined: deleted. */
  readonly #values = new Map<string, EncodeValue | undefined>();
  readonly #deleted = new Set<string>();
  readonly #dirty = new Set<string>();
  #inFlight = false;
  #flushed: (() => void)[] = [];
  #wake: (() => void) | undefined;
  #incarnation: string | undefined;
  readonly #run: Promise<void>;
  readonly #ignoreLoss: () => void;

  constructor(bus: Bus, bucket: string, replicas: number) {
    this.#bus = bus;
    this.#bucket = bucket;
    this.#replicas = replicas;
    this.#ignoreLoss = bus.onConnectionLost(() => {
      this.#incarnation = undefined;
      this.#wake?.();
    });
    this.#run = this.#work();
  }

  set(key: string, encode: EncodeValue): void {
    this.#deleted.delete(key);
    this.#values.set(key, encode);
    this.#mark(key);
  }

  delete(key: string): void {
    this.#values.set(key, undefined);
    this.#deleted.add(key);
    if (this.#deleted.size > MAX_TOMBSTONES) this.#forgetOldestTombstone();
    this.#mark(key);
  }

  async flush(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#dirty.size === 0 && !this.#inFlight) return;
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#flushed.push(() => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
      this.#wake?.();
    });
  }

  async close(): Promise<void> {
    this.#ignoreLoss();
    this.#abort.abort();
    this.#wake?.();
    await this.#run;
  }

  #mark(key: string): void {
    this.#dirty.delete(key);
    this.#dirty.add(key);
    this.#wake?.();
  }

  #forgetOldestTombstone(): void {
    for (const key of this.#deleted) {
      this.#deleted.delete(key);
      if (this.#dirty.has(key)) return;
      this.#values.delete(key);
      // Best effort: a tombstone that stays costs some bytes until the server restarts.
      const filter = subjectOf(this.#bucket, key);
      void this.#bus.manager.streams.purge(streamOf(this.#bucket), { filter }).catch(() => undefined);
      return;
    }
  }

  async #work(): Promise<void> {
    const signal = this.#abort.signal;
    while (!signal.aborted) {
      try {
        await this.#checkBucket();
        if (this.#dirty.size > 0) {
          await this.#gather();
          if (signal.aborted) return;
          await this.#writeBatch();
        }
        if (this.#dirty.size === 0) {
          for (const done of this.#flushed.splice(0)) done();
          await this.#idle();
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#incarnation = undefined;
        this.#bus.log.warn({ bucket: this.#bucket, err: error }, 'observed state cannot be written; trying again');
        await sleep(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  /** A memory bucket ends with its server: whenever it is another one than before, everything is written again. */
  async #checkBucket(): Promise<void> {
    if (this.#incarnation !== undefined && this.#dirty.size > 0) return;
    const info = await ensureBucket(this.#bus, { name: this.#bucket, storage: 'memory', replicas: this.#replicas });
    if (info.created === this.#incarnation) return;
    this.#incarnation = info.created;
    for (const key of this.#values.keys()) this.#dirty.add(key);
  }

  async #writeBatch(): Promise<void> {
    const keys: string[] = [];
    for (const key of this.#dirty) {
      keys.push(key);
      if (keys.length === BATCH) break;
    }
    for (const key of keys) this.#dirty.delete(key);
    this.#inFlight = true;
    try {
      const results = await Promise.allSettled(keys.map((key) => this.#publish(key)));
      let failure: unknown;
      results.forEach((result, index) => {
        const key = keys[index];
        if (result.status === 'fulfilled' || key === undefined) return;
        failure = result.reason;
        this.#dirty.add(key);
      });
      if (failure !== undefined) throw failure;
    } finally {
      this.#inFlight = false;
    }
  }

  #publish(key: string): Promise<unknown> {
    const subject = subjectOf(this.#bucket, key);
    const encode = this.#values.get(key);
    if (encode !== undefined) return this.#bus.publish(subject, encode());
    const marks = headers();
    marks.set(OPERATION_HEADER, 'DEL');
    return this.#bus.publish(subject, new Uint8Array(0), marks);
  }

  /** A moment in which newer values may take the place of those to be written; none when somebody waits for them. */
  #gather(): Promise<void> {
    return this.#until(
      () => this.#flushed.length > 0,
      (done) => {
        void this.#bus.gather.tick().then(done);
        return undefined;
      },
    );
  }

  /** Until there is something to write, or it is time to look whether the bucket is still there. */
  #idle(): Promise<void> {
    return this.#until(
      () => this.#dirty.size > 0 || this.#incarnation === undefined,
      (done) => setTimeout(done, CHECK_MS).unref(),
    );
  }

  /** Until something happens that is `enough`, the writer is closed, or the time comes that `later` waits for. */
  #until(enough: () => boolean, later: (done: () => void) => NodeJS.Timeout | undefined): Promise<void> {
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const done = (): void => {
        clearTimeout(timer);
        if (this.#wake === wake) this.#wake = undefined;
        resolve();
      };
      const wake = (): void => {
        if (enough() || this.#abort.signal.aborted) done();
      };
      this.#wake = wake;
      timer = later(done);
      wake();
    });
  }
}

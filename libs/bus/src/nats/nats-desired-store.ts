import { setTimeout as sleep } from 'node:timers/promises';
import { conflict, unavailable } from '@atoll/errors';
import { PubHeaders, type StreamInfo } from '@nats-io/jetstream';
import { headers, nuid } from '@nats-io/transport-node';
import type { DesiredStore, DesiredWriter } from '../desired-store.ts';
import type { FeedSource } from '../feed-source.ts';
import { decodeLease, encodeLease, type HeldLease, LEASE_KEY, type Lease } from '../lease.ts';
import { ensureBucket, findBucket, isWrongSequence, streamOf, subjectOf } from './bucket.ts';
import { BucketSource } from './bucket-source.ts';
import { type Bus, OPERATION_BUDGET_MS } from './connection.ts';
import { NatsDesiredWriter, WRITER_HEADER } from './nats-desired-writer.ts';

export interface DesiredStoreOptions {
  /** `atoll_desired` */
  readonly bucket?: string;
  /** 1, or 3 in a NATS cluster of three. */
  readonly replicas?: number;
}

const RETRY_MS = 100;

/** Desired state in a JetStream bucket with file storage and a history of 1. */
export class NatsDesiredStore implements DesiredStore {
  readonly #bus: Bus;
  readonly #bucket: string;
  readonly #replicas: number;

  constructor(bus: Bus, options: DesiredStoreOptions = {}) {
    this.#bus = bus;
    this.#bucket = options.bucket ?? 'atoll_desired';
    this.#replicas = options.replicas ?? 1;
  }

  /** Is the bucket there? A cluster that had one and has none now has lost its state: do not make a new one. */
  async exists(): Promise<boolean> {
    return (await findBucket(this.#bus, this.#bucket)) !== undefined;
  }

  async create(): Promise<StreamInfo> {
    return ensureBucket(this.#bus, { name: this.#bucket, storage: 'file', replicas: this.#replicas });
  }

  source(): FeedSource {
    return new BucketSource(this.#bus, this.#bucket);
  }

  readLease(signal: AbortSignal): Promise<HeldLease | undefined> {
    return this.#within(signal, async () => (await this.#lastLease())?.lease);
  }

  async acquire(lease: Lease, seen: bigint | undefined, signal: AbortSignal): Promise<DesiredWriter> {
    const writerId = nuid.next();
    const epoch = await this.#within(signal, async () => {
      const found = await this.#lastLease();
      if (found?.writerId === writerId) return found.lease.epoch;
      if (found?.lease.epoch !== seen) throw takenBy(found?.lease);
      const marks = headers();
      marks.set(WRITER_HEADER, writerId);
      marks.set(PubHeaders.ExpectedLastSubjectSequenceHdr, String(seen ?? 0n));
      try {
        return BigInt(await this.#bus.publish(subjectOf(this.#bucket, LEASE_KEY), encodeLease(lease), marks));
      } catch (error) {
        if (!isWrongSequence(error)) throw error;
        const winner = await this.#lastLease();
        if (winner?.writerId === writerId) return winner.lease.epoch;
        throw takenBy(winner?.lease);
      }
    });
    return new NatsDesiredWriter(this.#bus, { bucket: this.#bucket, writerId, epoch });
  }

  async #lastLease(): Promise<{ readonly lease: HeldLease; readonly writerId: string } | undefined> {
    const subject = subjectOf(this.#bucket, LEASE_KEY);
    const message = await this.#bus.manager.streams.getMessage(streamOf(this.#bucket), { last_by_subj: subject });
    if (!message) return undefined;
    return {
      lease: { ...decodeLease(message.data), epoch: BigInt(message.seq) },
      writerId: message.header.get(WRITER_HEADER),
    };
  }

  /** Tries again within the budget of an operation; errors of ours are answers, anything else is a server that did not answer. */
  async #within<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + OPERATION_BUDGET_MS;
    for (;;) {
      signal.throwIfAborted();
      try {
        return await attempt();
      } catch (error) {
        if (error instanceof Error && error.name === 'AtollError') throw error;
        if (performance.now() > deadline) throw unavailable('the state store does not answer', { cause: error });
        await sleep(RETRY_MS, undefined, { signal });
      }
    }
  }
}

function takenBy(lease: HeldLease | undefined): Error {
  return conflict(
    lease
      ? `${lease.leaderId} at ${lease.address} took over first (epoch ${lease.epoch})`
      : 'the lease is gone from the store',
  );
}

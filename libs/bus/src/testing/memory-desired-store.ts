import { type AtollError, conflict, unavailable } from '@atoll/errors';
import type { DesiredStore, DesiredWriter } from '../desired-store.ts';
import type { FeedSource } from '../feed-source.ts';
import { decodeLease, encodeLease, type HeldLease, LEASE_KEY, type Lease } from '../lease.ts';
import { MemoryBucket } from './memory-bucket.ts';

/** Desired state in this process, for tests of what sits above the bus. */
export class MemoryDesiredStore implements DesiredStore {
  readonly #bucket = new MemoryBucket();

  source(): FeedSource {
    return this.#bucket;
  }

  async readLease(signal: AbortSignal): Promise<HeldLease | undefined> {
    signal.throwIfAborted();
    return this.#lease();
  }

  async acquire(lease: Lease, seen: bigint | undefined, signal: AbortSignal): Promise<DesiredWriter> {
    signal.throwIfAborted();
    const found = this.#lease();
    if (found?.epoch !== seen) throw conflict(`${found?.leaderId} took over first (epoch ${found?.epoch})`);
    return new MemoryDesiredWriter(this.#bucket, this.#bucket.write(LEASE_KEY, encodeLease(lease)));
  }

  #lease(): HeldLease | undefined {
    const found = this.#bucket.get(LEASE_KEY);
    return found?.value && { ...decodeLease(found.value), epoch: found.revision };
  }
}

class MemoryDesiredWriter implements DesiredWriter {
  readonly epoch: bigint;
  readonly #bucket: MemoryBucket;
  readonly #deposed = new AbortController();
  #tail: bigint;

  constructor(bucket: MemoryBucket, epoch: bigint) {
    this.#bucket = bucket;
    this.epoch = epoch;
    this.#tail = epoch;
  }

  get deposed(): AbortSignal {
    return this.#deposed.signal;
  }

  put(key: string, value: Uint8Array, signal?: AbortSignal): Promise<bigint> {
    return this.#write(key, value, signal);
  }

  delete(key: string, signal?: AbortSignal): Promise<bigint> {
    return this.#write(key, undefined, signal);
  }

  async settled(): Promise<bigint> {
    this.#deposed.signal.throwIfAborted();
    return this.#tail;
  }

  async forget(key: string, revision: bigint): Promise<void> {
    this.#deposed.signal.throwIfAborted();
    if (this.#bucket.get(key)?.revision === revision) this.#bucket.forget(key);
  }

  close(reason: AtollError = unavailable('this scheduler replica is shutting down')): void {
    this.#deposed.abort(reason);
  }

  async #write(key: string, value: Uint8Array | undefined, signal: AbortSignal | undefined): Promise<bigint> {
    signal?.throwIfAborted();
    this.#deposed.signal.throwIfAborted();
    if (this.#bucket.last !== this.#tail) {
      this.#deposed.abort(
        unavailable('another scheduler writes desired state now: this replica does not lead any more'),
      );
      throw this.#deposed.signal.reason;
    }
    this.#tail = this.#bucket.write(key, value);
    return this.#tail;
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { type AtollError, cancelled, dataLoss, unavailable } from '@atoll/errors';
import { PubHeaders } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import type { DesiredWriter } from '../desired-store.ts';
import { isStreamMissing, OPERATION_HEADER, streamOf, subjectOf } from './bucket.ts';
import { type Bus, OPERATION_BUDGET_MS } from './connection.ts';
import { untilLost } from './until-lost.ts';

/** Names the writer of a message, so that an unanswered write can be told from a foreign one. */
export const WRITER_HEADER = 'Atoll-Writer';
const WRITE_HEADER = 'Atoll-Write';
const MAX_WAITING = 4_096;
const SETTLE_RETRY_MS = 100;

interface Job {
  readonly id: string;
  readonly key: string;
  readonly value: Uint8Array | undefined;
  readonly deadline: number;
  readonly resolve: (revision: bigint) => void;
  readonly reject: (error: unknown) => void;
  answered: boolean;
}

type Settled = 'landed' | 'absent' | 'stopped';

/** The single-writer chain on a JetStream stream: see docs/adr/0001-single-writer-chain.md. */
export class NatsDesiredWriter implements DesiredWriter {
  readonly epoch: bigint;
  readonly #bus: Bus;
  readonly #bucket: string;
  readonly #writerId: string;
  readonly #deposed = new AbortController();
  readonly #waiting: Job[] = [];
  #tail: number;
  #count = 0;
  #working: Promise<void> | undefined;

  constructor(bus: Bus, options: { readonly bucket: string; readonly writerId: string; readonly epoch: bigint }) {
    this.#bus = bus;
    this.#bucket = options.bucket;
    this.#writerId = options.writerId;
    this.epoch = options.epoch;
    this.#tail = Number(options.epoch);
  }

  get deposed(): AbortSignal {
    return this.#deposed.signal;
  }

  put(key: string, value: Uint8Array, signal?: AbortSignal): Promise<bigint> {
    return this.#enqueue(key, value, signal);
  }

  delete(key: string, signal?: AbortSignal): Promise<bigint> {
    return this.#enqueue(key, undefined, signal);
  }

  close(reason: AtollError = unavailable('this scheduler replica is shutting down')): void {
    this.#depose(reason);
  }

  async settled(): Promise<bigint> {
    await this.#working;
    this.#deposed.signal.throwIfAborted();
    return BigInt(this.#tail);
  }

  async forget(key: string, revision: bigint): Promise<void> {
    this.#deposed.signal.throwIfAborted();
    const filter = subjectOf(this.#bucket, key);
    const purge = this.#bus.manager.streams.purge(streamOf(this.#bucket), { filter, seq: Number(revision) + 1 });
    try {
      await untilLost(this.#bus, purge);
    } catch (cause) {
      throw unavailable(`the tombstone of ${key} could not be forgotten`, { cause });
    }
  }

  #enqueue(key: string, value: Uint8Array | undefined, signal: AbortSignal | undefined): Promise<bigint> {
    if (this.#deposed.signal.aborted) return Promise.reject(this.#deposed.signal.reason);
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#waiting.length >= MAX_WAITING) {
      return Promise.reject(unavailable(`${MAX_WAITING} writes of desired state wait already; try again`));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#giveUp(job), OPERATION_BUDGET_MS);
      const onAbort = (): void => this.#withdraw(job);
      const settled = (): boolean => {
        if (job.answered) return false;
        job.answered = true;
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        return true;
      };
      const job: Job = {
        id: `${this.#writerId}.${++this.#count}`,
        key,
        value,
        deadline: performance.now() + OPERATION_BUDGET_MS,
        answered: false,
        resolve: (revision) => settled() && resolve(revision),
        reject: (error) => settled() && reject(error),
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(job);
      this.#working ??= this.#work();
    });
  }

  /** A job that has not begun can be taken back; one in flight is answered by its outcome. */
  #withdraw(job: Job): void {
    const index = this.#waiting.indexOf(job);
    if (index < 0 || (index === 0 && this.#working !== undefined)) return;
    this.#waiting.splice(index, 1);
    job.reject(cancelled(`the write of ${job.key} was withdrawn before it began`));
  }

  #giveUp(job: Job): void {
    const begun = this.#waiting[0] === job;
    if (!begun) {
      const index = this.#waiting.indexOf(job);
      if (index > 0) this.#waiting.splice(index, 1);
    }
    job.reject(
      unavailable(
        `the state store did not confirm the write of ${job.key} within ${OPERATION_BUDGET_MS / 1000} s; try again`,
        {
          details: { outcome: begun ? 'unknown' : 'absent' },
        },
      ),
    );
  }

  async #work(): Promise<void> {
    for (let job = this.#waiting[0]; job !== undefined; job = this.#waiting[0]) {
      await this.#write(job);
      if (this.#waiting[0] === job) this.#waiting.shift();
    }
    this.#working = undefined;
  }

  /** Brings one job to its end: written, given up by its caller while absent from the store, or stopped with the chain. */
  async #write(job: Job): Promise<void> {
    while (!this.#deposed.signal.aborted && !job.answered) {
      try {
        this.#landed(job, await this.#publish(job));
        return;
      } catch (error) {
        const outcome = await this.#settle(job, error);
        if (outcome === 'landed' || outcome === 'stopped') return;
        await sleep(SETTLE_RETRY_MS, undefined, { signal: this.#deposed.signal }).catch(() => undefined);
      }
    }
  }

  #publish(job: Job): Promise<number> {
    const marks = headers();
    marks.set(WRITER_HEADER, this.#writerId);
    marks.set(WRITE_HEADER, job.id);
    marks.set(PubHeaders.ExpectedLastSeqHdr, String(this.#tail));
    if (job.value === undefined) marks.set(OPERATION_HEADER, 'DEL');
    return this.#bus.publish(subjectOf(this.#bucket, job.key), job.value ?? new Uint8Array(0), marks);
  }

  #landed(job: Job, sequence: number): void {
    this.#tail = sequence;
    job.resolve(BigInt(sequence));
  }

  /**
   * Reads back what the end of the stream is. Until that is known nothing else is written. A write that is still on its way can
   * land later: then it is found at the tail by the next write's refusal, because only one message can follow this tail.
   */
  async #settle(job: Job, cause: unknown): Promise<Settled> {
    for (;;) {
      if (this.#deposed.signal.aborted) return 'stopped';
      try {
        const info = await untilLost(this.#bus, this.#bus.manager.streams.info(streamOf(this.#bucket)));
        const last = info.state.last_seq;
        if (last === this.#tail) return 'absent';
        if (last < this.#tail) {
          this.#depose(
            dataLoss(`desired state ends at ${last} but ${this.#tail} was confirmed: the store has lost writes`),
          );
          return 'stopped';
        }
        const next = await this.#bus.manager.streams.getMessage(streamOf(this.#bucket), { seq: this.#tail + 1 });
        if (next?.header.get(WRITER_HEADER) === this.#writerId) {
          if (next.header.get(WRITE_HEADER) === job.id) {
            this.#landed(job, next.seq);
            return 'landed';
          }
          this.#tail = next.seq;
          continue;
        }
        this.#depose(
          unavailable('another scheduler writes desired state now: this replica does not lead any more', { cause }),
        );
        return 'stopped';
      } catch (error) {
        if (isStreamMissing(error)) {
          this.#depose(
            dataLoss('the bucket of desired state is missing: nothing is written and nothing is removed', {
              cause: error,
            }),
          );
          return 'stopped';
        }
        await sleep(SETTLE_RETRY_MS, undefined, { signal: this.#deposed.signal }).catch(() => undefined);
      }
    }
  }

  #depose(error: AtollError): void {
    if (this.#deposed.signal.aborted) return;
    const reason = error.reason === 'unavailable' ? error : unavailable(error.message, { cause: error });
    this.#deposed.abort(reason);
    for (const job of this.#waiting.splice(0)) job.reject(reason);
  }
}

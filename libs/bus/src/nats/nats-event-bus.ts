import { setTimeout as sleep } from 'node:timers/promises';
import { eventV1 } from '@atoll/proto';
import { DiscardPolicy, PubHeaders, RetentionPolicy, StorageType, type StreamInfo } from '@nats-io/jetstream';
import { headers, nanos, nuid } from '@nats-io/transport-node';
import type { EventBus, EventQuery } from '../event-bus.ts';
import { isStreamMissing } from './bucket.ts';
import type { Bus } from './connection.ts';
import { type ReadFrom, readStream } from './stream-reader.ts';
import { untilLost } from './until-lost.ts';

export interface EventBusOptions {
  /** `atoll_events` */
  readonly stream?: string;
  readonly replicas?: number;
  readonly maxAgeMs?: number;
  readonly maxBytes?: number;
  readonly maxMessages?: number;
}

const MAX_WAITING = 10_000;
const BATCH = 128;
/** Labels of containers are attributes of events; NATS takes messages of up to 1 MiB. */
const BATCH_BYTES = 256 * 1024;
/** Batches on their way to a reader, who may take none of them. */
const WINDOW = 32;
const SUBJECT = 'event.batch';
const RETRY_MS = 100;
/** Events reach the stream a little after they happened; a read by time starts this much earlier and filters. */
const SLACK_NS = 5_000_000_000n;

interface Batch {
  /** By which the stream drops what it has already. */
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** Events in a JetStream stream with memory storage, what happens at one time as one message. */
export class NatsEventBus implements EventBus {
  readonly #bus: Bus;
  readonly #options: Required<EventBusOptions>;
  readonly #abort = new AbortController();
  readonly #waiting: eventV1.Event[] = [];
  readonly #publisher = nuid.next();
  #flushed: (() => void)[] = [];
  #count = 0;
  #dropped = 0;
  #run: Promise<void> | undefined;
  #hurry: (() => void) | undefined;

  constructor(bus: Bus, options: EventBusOptions = {}) {
    this.#bus = bus;
    this.#options = {
      stream: options.stream ?? 'atoll_events',
      replicas: options.replicas ?? 1,
      maxAgeMs: options.maxAgeMs ?? 3_600_000,
      maxBytes: options.maxBytes ?? 64 * 1024 * 1024,
      maxMessages: options.maxMessages ?? 200_000,
    };
  }

  publish(event: eventV1.Event): boolean {
    if (this.#abort.signal.aborted) return false;
    if (this.#waiting.length >= MAX_WAITING) {
      if (this.#dropped++ === 0)
        this.#bus.log.error({ waiting: MAX_WAITING }, 'events are dropped: NATS takes them too slowly');
      return false;
    }
    this.#waiting.push(event);
    this.#run ??= this.#drain();
    return true;
  }

  async flush(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#run) return;
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#flushed.push(() => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
      this.#hurry?.();
    });
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#hurry?.();
    await this.#run;
  }

  subscribe(query: EventQuery): AsyncGenerator<eventV1.Event> {
    // From the moment of the call, not of the first read: what happens in between must not be missed.
    const from = this.#startOf(query);
    from.catch(() => undefined);
    return this.#subscription(query, from);
  }

  async *#subscription(query: EventQuery, from: Promise<ReadFrom>): AsyncGenerator<eventV1.Event> {
    const end = new AbortController();
    const timer = untilTimer(query.untilNs, end);
    const signal = AbortSignal.any([query.signal, end.signal, this.#abort.signal]);
    try {
      yield* this.#read(query, await from, signal);
    } finally {
      clearTimeout(timer);
      end.abort();
    }
    query.signal.throwIfAborted();
  }

  /** Reads for ever, opening the stream again after each loss from where it was. */
  async *#read(query: EventQuery, start: ReadFrom, signal: AbortSignal): AsyncGenerator<eventV1.Event> {
    const past = query.untilNs !== undefined && query.untilNs <= nowNs();
    let from = start;
    while (!signal.aborted) {
      try {
        for await (const item of readStream(this.#bus, this.#options.stream, from, signal, WINDOW)) {
          if (item.kind === 'live') {
            if (past) return;
            continue;
          }
          from = { kind: 'after', sequence: item.sequence };
          for (const event of eventV1.EventBatch.decode(item.message.data).events) {
            if (query.sinceNs !== undefined && event.timeNs < query.sinceNs) continue;
            if (query.untilNs !== undefined && event.timeNs > query.untilNs) {
              if (past) return;
              continue;
            }
            yield event;
          }
        }
      } catch (error) {
        if (signal.aborted) break;
        if (isStreamMissing(error)) from = { kind: 'after', sequence: 0 };
        await sleep(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
        await this.#ensureStream(signal).catch(() => undefined);
      }
    }
  }

  async #startOf(query: EventQuery): Promise<ReadFrom> {
    const info = await this.#ensureStream(query.signal);
    if (query.sinceNs === undefined) return { kind: 'after', sequence: info.state.last_seq };
    const ms = Number((query.sinceNs - SLACK_NS) / 1_000_000n);
    return ms <= 0 ? { kind: 'after', sequence: 0 } : { kind: 'time', iso: new Date(ms).toISOString() };
  }

  async #drain(): Promise<void> {
    const signal = this.#abort.signal;
    while (this.#waiting.length > 0 && !signal.aborted) {
      await this.#gather();
      const batch = this.#takeBatch();
      while (!(await this.#send(batch)) && !signal.aborted) {
        await sleep(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
        await this.#ensureStream(signal).catch((error) => {
          if (!signal.aborted) this.#bus.log.warn({ err: error }, 'events cannot be published; trying again');
        });
      }
    }
    this.#run = undefined;
    this.#dropped = 0;
    for (const done of this.#flushed.splice(0)) done();
  }

  /** A moment for more to come; none when somebody waits for what is there. */
  #gather(): Promise<void> {
    if (this.#flushed.length > 0 || this.#waiting.length >= BATCH) return Promise.resolve();
    return new Promise((resolve) => {
      this.#hurry = resolve;
      void this.#bus.gather.tick().then(resolve);
    });
  }

  /** What waits, as many events as make one message. */
  #takeBatch(): Batch {
    for (let count = Math.min(this.#waiting.length, BATCH); ; count = Math.ceil(count / 2)) {
      const bytes = eventV1.EventBatch.encode({ events: this.#waiting.slice(0, count) }).finish();
      if (bytes.length > BATCH_BYTES && count > 1) continue;
      this.#waiting.splice(0, count);
      return { id: `${this.#publisher}.${++this.#count}`, bytes };
    }
  }

  async #send({ id, bytes }: Batch): Promise<boolean> {
    const marks = headers();
    marks.set(PubHeaders.MsgIdHdr, id);
    return await this.#bus.publish(SUBJECT, bytes, marks).then(
      () => true,
      () => false,
    );
  }

  async #ensureStream(signal: AbortSignal): Promise<StreamInfo> {
    signal.throwIfAborted();
    const { stream, replicas, maxAgeMs, maxBytes, maxMessages } = this.#options;
    try {
      return await untilLost(this.#bus, this.#bus.manager.streams.info(stream));
    } catch (error) {
      if (!isStreamMissing(error)) throw error;
      return await this.#bus.manager.streams.add({
        name: stream,
        subjects: ['event.>'],
        storage: StorageType.Memory,
        retention: RetentionPolicy.Limits,
        discard: DiscardPolicy.Old,
        num_replicas: replicas,
        max_age: nanos(maxAgeMs),
        max_bytes: maxBytes,
        max_msgs: maxMessages,
        duplicate_window: nanos(Math.min(120_000, maxAgeMs)),
      });
    }
  }
}

function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

const MAX_TIMER_MS = 2 ** 31 - 1;

/** Aborts `end` when the wall clock reaches `untilNs`; a past one ends the read when it has caught up. */
function untilTimer(untilNs: bigint | undefined, end: AbortController): NodeJS.Timeout | undefined {
  if (untilNs === undefined) return undefined;
  const left = Number((untilNs - nowNs()) / 1_000_000n);
  if (left <= 0) return undefined;
  return setTimeout(() => end.abort(), Math.min(left, MAX_TIMER_MS));
}

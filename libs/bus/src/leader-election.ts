import { setTimeout as sleep } from 'node:timers/promises';
import { unavailable } from '@atoll/errors';
import { type BusLog, SILENT_LOG } from './bus-log.ts';
import type { Collection } from './collection.ts';
import type { DesiredStore, DesiredWriter } from './desired-store.ts';
import type { Feed } from './feed.ts';
import { decodeLease, type HeldLease, type Lease } from './lease.ts';
import type { Mirror } from './mirror.ts';
import type { ObservedStore } from './observed-store.ts';

/** A sign of life of the leader: key `lease.<epoch>` of the observed bucket, written once a beat. */
interface Beat extends Lease {
  readonly count: number;
}

export const LEASE_BEATS: Collection<Beat> = {
  kind: 'lease',
  encode: (beat) => new TextEncoder().encode(JSON.stringify(beat)),
  decode: (bytes) => {
    const count: unknown = JSON.parse(new TextDecoder().decode(bytes)).count;
    return { ...decodeLease(bytes), count: typeof count === 'number' ? count : 0 };
  },
  supersedes: () => true,
};

export interface ElectionOptions {
  readonly desired: DesiredStore;
  readonly observed: ObservedStore;
  /** The feed of the observed bucket; not started yet. */
  readonly observedFeed: Feed;
  readonly self: Lease;
  readonly log?: BusLog;
  /** Silence of the leader after which a replica takes over, on the replica's own monotonic clock. */
  readonly takeoverMs?: number;
  readonly beatMs?: number;
}

/** Leads until the signal aborts; a returned or failed term gives the leadership up. */
export type Term = (writer: DesiredWriter, signal: AbortSignal) => Promise<void>;

const TICK_MS = 100;
/** A tick never counts for more than this: a replica that was paused itself has not watched anybody. */
const MAX_TICK_MS = 300;

/**
 * One leader among the scheduler's replicas. The leader beats in the observed bucket; a replica that watched it be silent for
 * `takeoverMs` takes the durable lease by compare-and-set. Safety does not rest on these clocks: the single-writer chain and the
 * epoch on every order stop a leader that does not know yet that it was replaced.
 */
export class LeaderElection {
  readonly #options: Required<ElectionOptions>;
  readonly #beats: Mirror<Beat>;
  #leader: HeldLease | undefined;
  #silentMs = 0;
  #leading = false;

  constructor(options: ElectionOptions) {
    this.#options = { log: SILENT_LOG, takeoverMs: 3_000, beatMs: 1_000, ...options };
    this.#beats = options.observedFeed.mirror(LEASE_BEATS);
    this.#beats.onChange((change) => {
      if (change.id !== String(this.#leader?.epoch)) return;
      // A deleted beat is a leader that resigned: no need to wait for its silence.
      this.#silentMs = change.value ? 0 : this.#options.takeoverMs;
    });
  }

  /** Who leads, as far as this replica knows. */
  get leader(): HeldLease | undefined {
    return this.#leader;
  }

  get leading(): boolean {
    return this.#leading;
  }

  /** Takes part until `signal` aborts. */
  async run(term: Term, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const writer = await this.#campaign(signal);
        await this.#lead(writer, term, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#options.log.warn({ err: error }, 'not leading; watching');
        await sleep(TICK_MS, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  /** Watches the leader until it is silent for too long, then takes the lease. */
  async #campaign(signal: AbortSignal): Promise<DesiredWriter> {
    const { desired, self, takeoverMs, observedFeed } = this.#options;
    let found = await desired.readLease(signal);
    this.#leader = found;
    this.#silentMs = found === undefined || found.leaderId === self.leaderId ? takeoverMs : 0;
    let last = performance.now();
    let sinceLook = 0;
    while (this.#silentMs < takeoverMs) {
      await sleep(TICK_MS, undefined, { signal });
      const now = performance.now();
      const step = Math.min(now - last, MAX_TICK_MS);
      last = now;
      sinceLook += step;
      if (observedFeed.state === 'live') this.#silentMs += step;
      else this.#silentMs = 0;
      if (sinceLook >= 1_000 || this.#silentMs >= takeoverMs) {
        sinceLook = 0;
        // The bucket of the beats lives in memory: without a leader nobody else makes it again.
        if (observedFeed.state !== 'live') await this.#options.observed.ensure().catch(() => undefined);
        const newest = await desired.readLease(signal);
        if (newest?.epoch !== found?.epoch) {
          found = newest;
          this.#leader = newest;
          this.#silentMs = 0;
        }
      }
    }
    return desired.acquire(self, found?.epoch, signal);
  }

  /** A leader that was paused learns that it was replaced before a write of its own tells it. */
  async #stepDownIfReplaced(writer: DesiredWriter, signal: AbortSignal): Promise<void> {
    const newest = await this.#options.desired.readLease(signal).catch(() => undefined);
    if (newest === undefined || newest.epoch <= writer.epoch) return;
    writer.close(unavailable(`${newest.leaderId} leads now: this replica does not any more`));
  }

  async #lead(writer: DesiredWriter, term: Term, signal: AbortSignal): Promise<void> {
    const { self, observed, beatMs, log } = this.#options;
    this.#leader = { ...self, epoch: writer.epoch };
    this.#leading = true;
    log.info({ leader: self.leaderId, epoch: String(writer.epoch) }, 'leading');
    const ended = new AbortController();
    const termSignal = AbortSignal.any([signal, writer.deposed, ended.signal]);
    const beats = observed.writer();
    let count = 0;
    const beat = (): void => {
      const told = { ...self, count: ++count };
      beats.set(`lease.${writer.epoch}`, () => LEASE_BEATS.encode(told));
      void this.#stepDownIfReplaced(writer, termSignal);
    };
    beat();
    const timer = setInterval(beat, beatMs);
    try {
      await term(writer, termSignal);
      signal.throwIfAborted();
      if (!writer.deposed.aborted) throw unavailable('the term ended by itself');
    } finally {
      this.#leading = false;
      clearInterval(timer);
      ended.abort();
      writer.close();
      beats.delete(`lease.${writer.epoch}`);
      await beats.flush(AbortSignal.timeout(500)).catch(() => undefined);
      await beats.close();
      log.info({ epoch: String(writer.epoch) }, 'leads no more');
    }
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { type BusLog, SILENT_LOG } from './bus-log.ts';
import type { Collection } from './collection.ts';
import type { FeedItem, FeedSource } from './feed-source.ts';
import { parseStateKey } from './key.ts';
import { Mirror } from './mirror.ts';

const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 1_000;
const HALTED_BACKOFF_MS = 5_000;
/** How many tombstones are remembered for forgetting; more wait in the bucket for the next feed. */
const MAX_TOMBSTONES = 65_536;

/**
 * - `keep`: a bucket that must survive. If it comes back shorter or as another one, the feed stops believing it: mirrors keep what
 *   they know and the feed is `halted` until the bucket is what it was.
 * - `rebuilt`: a memory bucket that its writer fills again after a restart: read from the start, nothing is removed by its absence.
 */
export type RegressPolicy = 'keep' | 'rebuilt';

export type FeedState = 'starting' | 'live' | 'stale' | 'halted';

/**
 * One ordered read of a whole bucket that feeds mirrors, for ever: it reconnects and goes on where it was.
 * Fail static: only explicit tombstones remove anything.
 */
export class Feed {
  readonly #source: FeedSource;
  readonly #policy: RegressPolicy;
  readonly #log: BusLog;
  readonly #name: string;
  readonly #mirrors = new Map<string, { deliver(item: FeedItem & { kind: 'put' | 'delete' }, id: string): void }>();
  readonly #abort = new AbortController();
  readonly #tombstones = new Map<string, { readonly revision: bigint; readonly since: number }>();
  #waiters: { readonly reached: () => boolean; readonly resolve: () => void }[] = [];
  #run: Promise<void> | undefined;
  #state: FeedState = 'starting';
  #wasLive = false;
  #seen = 0n;
  #incarnation: string | undefined;

  constructor(
    source: FeedSource,
    options: { readonly name: string; readonly onRegress: RegressPolicy; readonly log?: BusLog },
  ) {
    this.#source = source;
    this.#policy = options.onRegress;
    this.#name = options.name;
    this.#log = options.log ?? SILENT_LOG;
  }

  /** A mirror of one kind; before `start`, so that it misses nothing. */
  mirror<T>(collection: Collection<T>): Mirror<T> {
    if (this.#run) throw new Error(`mirror ${collection.kind} must be made before the feed is started`);
    const mirror = new Mirror(collection, this.#log);
    this.#mirrors.set(collection.kind, mirror);
    return mirror;
  }

  get state(): FeedState {
    return this.#state;
  }

  /** Highest revision seen. */
  get revision(): bigint {
    return this.#seen;
  }

  start(): this {
    this.#run ??= this.#follow(this.#abort.signal);
    return this;
  }

  /** Resolves once everything that was in the bucket when it was first reached is in the mirrors. */
  ready(signal: AbortSignal): Promise<void> {
    return this.#until(() => this.#wasLive, signal);
  }

  /** Resolves once everything up to this revision is in the mirrors. */
  caughtUp(revision: bigint, signal: AbortSignal): Promise<void> {
    return this.#until(() => this.#wasLive && this.#seen >= revision, signal);
  }

  /** Tombstones this feed has seen at least `olderThanMs` ago, oldest first: what a writer may forget. */
  *tombstones(olderThanMs: number): Generator<{ readonly key: string; readonly revision: bigint }> {
    const due = performance.now() - olderThanMs;
    for (const [key, { revision, since }] of this.#tombstones) {
      if (since > due) return;
      yield { key, revision };
    }
  }

  /** The writer has forgotten it. */
  dropTombstone(key: string): void {
    this.#tombstones.delete(key);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#run;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    let backoff = FIRST_BACKOFF_MS;
    while (!signal.aborted) {
      try {
        for await (const item of this.#source.open(this.#seen, signal)) {
          if (!this.#accept(item)) break;
          if (item.kind === 'live') backoff = FIRST_BACKOFF_MS;
        }
      } catch (error) {
        if (!signal.aborted && this.#state !== 'stale' && this.#state !== 'halted') {
          this.#log.warn({ feed: this.#name, err: error }, 'feed lost; mirrors keep what they know until it is back');
        }
      }
      if (signal.aborted) return;
      if (this.#state !== 'halted') this.#state = this.#wasLive ? 'stale' : 'starting';
      const pause = this.#state === 'halted' ? HALTED_BACKOFF_MS : backoff;
      await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined);
      backoff = Math.min(backoff * 2, MAX_BACKOFF_MS);
    }
  }

  /** False: what was opened is not to be read on. */
  #accept(item: FeedItem): boolean {
    switch (item.kind) {
      case 'opened':
        return this.#opened(item);
      case 'live':
        if (this.#state !== 'live') this.#log.info({ feed: this.#name, revision: String(this.#seen) }, 'feed live');
        this.#state = 'live';
        this.#wasLive = true;
        break;
      default: {
        const key = parseStateKey(item.key);
        if (key) this.#mirrors.get(key.kind)?.deliver(item, key.id);
        this.#tombstones.delete(item.key);
        if (item.kind === 'delete' && this.#tombstones.size < MAX_TOMBSTONES) {
          this.#tombstones.set(item.key, { revision: item.revision, since: performance.now() });
        }
        if (item.revision > this.#seen) this.#seen = item.revision;
      }
    }
    this.#wake();
    return true;
  }

  #opened(item: FeedItem & { kind: 'opened' }): boolean {
    const other = this.#incarnation !== undefined && this.#incarnation !== item.incarnation;
    if (!other && item.last >= this.#seen) {
      this.#incarnation = item.incarnation;
      return true;
    }
    if (this.#policy === 'rebuilt') {
      this.#incarnation = item.incarnation;
      this.#seen = 0n;
      return false;
    }
    if (this.#state !== 'halted') {
      this.#log.error(
        { feed: this.#name, seen: String(this.#seen), found: String(item.last), otherBucket: other },
        'the bucket went back or is another one: nothing is removed, nothing new is believed; restore it from its disk or a backup',
      );
    }
    this.#state = 'halted';
    return false;
  }

  #until(reached: () => boolean, signal: AbortSignal): Promise<void> {
    if (reached()) return Promise.resolve();
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiters = this.#waiters.filter((waiter) => waiter !== entry);
        reject(signal.reason);
      };
      const entry = {
        reached,
        resolve: (): void => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(entry);
    });
  }

  #wake(): void {
    if (this.#waiters.length === 0) return;
    const due = this.#waiters.filter((waiter) => waiter.reached());
    if (due.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => !due.includes(waiter));
    for (const waiter of due) waiter.resolve();
  }
}

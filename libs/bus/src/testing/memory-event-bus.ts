import { setTimeout as sleep } from 'node:timers/promises';
import type { eventV1 } from '@atoll/proto';
import type { EventBus, EventQuery } from '../event-bus.ts';

const MAX_EVENTS = 10_000;

/** Events in this process. */
export class MemoryEventBus implements EventBus {
  #events: eventV1.Event[] = [];
  #dropped = 0;
  readonly #readers = new Set<() => void>();

  publish(event: eventV1.Event): boolean {
    this.#events.push(event);
    if (this.#events.length > MAX_EVENTS) {
      this.#events.shift();
      this.#dropped++;
    }
    for (const wake of [...this.#readers]) wake();
    return true;
  }

  async flush(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
  }

  subscribe(query: EventQuery): AsyncGenerator<eventV1.Event> {
    return this.#read(query, query.sinceNs === undefined ? this.#dropped + this.#events.length : 0);
  }

  async *#read(query: EventQuery, from: number): AsyncGenerator<eventV1.Event> {
    let next = from;
    for (;;) {
      query.signal.throwIfAborted();
      for (; next < this.#dropped + this.#events.length; next++) {
        const event = this.#events[next - this.#dropped];
        if (!event || (query.sinceNs !== undefined && event.timeNs < query.sinceNs)) continue;
        if (query.untilNs !== undefined && event.timeNs > query.untilNs) continue;
        yield event;
      }
      const left = query.untilNs === undefined ? undefined : Number(query.untilNs / 1_000_000n) - Date.now();
      if (left !== undefined && left <= 0) return;
      await this.#changed(query.signal, left);
    }
  }

  async close(): Promise<void> {}

  async #changed(signal: AbortSignal, withinMs: number | undefined): Promise<void> {
    const stop = new AbortController();
    const wake = (): void => stop.abort();
    this.#readers.add(wake);
    const all = AbortSignal.any([signal, stop.signal]);
    await sleep(withinMs ?? 60_000, undefined, { signal: all, ref: false }).catch(() => undefined);
    this.#readers.delete(wake);
  }
}

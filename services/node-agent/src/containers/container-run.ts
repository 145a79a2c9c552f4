import { hasReason, unavailable } from '@atoll/errors';
import type { Endpoint } from '../network/host-network.ts';
import { deferred } from '../processes/deferred.ts';
import type { ShimClient } from '../runtime/shim-client.ts';
import type { ShimState } from '../runtime/shim-state.ts';

const REQUEST_MS = 30_000;

/** One life of a container's process, from its preparation to its end. */
export class ContainerRun {
  client: ShimClient | undefined;
  /** Its place on the default bridge. */
  endpoint: Endpoint | undefined;
  /** Its end is being, or has been, dealt with. */
  over = false;
  readonly #running = deferred<ShimState>();
  readonly #settled = deferred<void>();
  readonly #ended = new AbortController();
  /** The first state with a process: running, or exited when that came first. */
  readonly running: Promise<ShimState> = this.#running.promise;
  /** Resolves when the end is in the status. */
  readonly settled: Promise<void> = this.#settled.promise;
  /** Aborted at the same time. */
  readonly ended: AbortSignal = this.#ended.signal;

  /** Throws unavailable when there is no supervisor. */
  connection(): ShimClient {
    if (!this.client) throw unavailable('the container has no supervisor at the moment; try again');
    return this.client;
  }

  /** Sends a signal. A process that has just ended by itself does not get it, and its end is on the way. */
  async send(number: number, target: 'init' | 'all'): Promise<void> {
    try {
      await this.connection().kill(number, target, AbortSignal.timeout(REQUEST_MS));
    } catch (error) {
      if (!hasReason(error, 'unavailable', 'not-found', 'conflict')) throw error;
    }
  }

  observe(state: ShimState): void {
    if (state.status !== 'created') this.#running.resolve(state);
  }

  /** False when the time is up first. */
  async settledWithin(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), ms);
    });
    try {
      return await Promise.race([this.settled.then(() => true), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  settle(): void {
    this.#settled.resolve();
    this.#ended.abort();
  }
}

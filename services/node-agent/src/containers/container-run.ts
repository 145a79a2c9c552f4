import { deferred } from '../processes/deferred.ts';
import type { ShimClient } from '../runtime/shim-client.ts';
import type { ShimState } from '../runtime/shim-state.ts';

/** One life of a container's process, from its preparation to its end. */
export class ContainerRun {
  client: ShimClient | undefined;
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

  observe(state: ShimState): void {
    if (state.status !== 'created') this.#running.resolve(state);
  }

  settle(): void {
    this.#settled.resolve();
    this.#ended.abort();
  }
}

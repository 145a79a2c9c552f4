import { hasReason } from '@atoll/errors';
import type { BuildHost } from './build-host.ts';
import type { BuildSession } from './build-session.ts';

/**
 * The host a stage works on: chosen when the first step needs one, kept while it lasts (the layers are there), replaced once when
 * it goes away in the middle of a step.
 */
export class StageHost implements Disposable {
  readonly #session: BuildSession;
  readonly #onLost: (lost: BuildHost, next: BuildHost) => Promise<void>;
  #preferred: BuildHost | undefined;
  #host: BuildHost | undefined;

  /** @param preferred the host of the stage this one is based on */
  constructor(
    session: BuildSession,
    preferred: BuildHost | undefined,
    onLost: (lost: BuildHost, next: BuildHost) => Promise<void>,
  ) {
    this.#session = session;
    this.#preferred = preferred;
    this.#onLost = onLost;
  }

  /** Where a following stage finds the layers. */
  get last(): BuildHost | undefined {
    return this.#host ?? this.#preferred;
  }

  async use<T>(work: (host: BuildHost) => Promise<T>): Promise<T> {
    const host = this.#host ?? (await this.#choose([]));
    try {
      return await work(host);
    } catch (error) {
      if (!hasReason(error, 'unavailable') || this.#session.signal.aborted) throw error;
      this[Symbol.dispose]();
      const next = await this.#choose([host.id]);
      if (next.id === host.id) throw error;
      await this.#onLost(host, next);
      return await work(next);
    }
  }

  [Symbol.dispose](): void {
    const { busyHosts } = this.#session;
    if (!this.#host) return;
    busyHosts.splice(busyHosts.indexOf(this.#host.id), 1);
    this.#preferred = this.#host;
    this.#host = undefined;
  }

  async #choose(lost: readonly string[]): Promise<BuildHost> {
    const { busyHosts, placing } = this.#session;
    // One stage after the other, so that each sees where the ones before it went.
    const host = await placing.run(async () => {
      const near = this.#preferred;
      const free = near && !lost.includes(near.id) && !busyHosts.includes(near.id);
      const { hosts, options, signal } = this.#session;
      const avoid = [...new Set([...busyHosts, ...lost])];
      const chosen = free ? near : await hosts.place(options.constraints, avoid, signal);
      busyHosts.push(chosen.id);
      return chosen;
    });
    this.#host = host;
    return host;
  }
}

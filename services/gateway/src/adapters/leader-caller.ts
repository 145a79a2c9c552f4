import { setTimeout as sleep } from 'node:timers/promises';
import { AtollError, hasReason, unavailable } from '@atoll/errors';
import { containerV1, networkV1, volumeV1 } from '@atoll/proto';
import type { CallOptions, ChannelPool, Client } from '@atoll/rpc';

export type ContainerClient = Client<containerV1.ContainerServiceService>;
export type NetworkClient = Client<networkV1.NetworkServiceService>;
export type VolumeClient = Client<volumeV1.VolumeServiceService>;

interface Clients {
  readonly containers: ContainerClient;
  readonly networks: NetworkClient;
  readonly volumes: VolumeClient;
}

/** A store or scheduler fail-over takes up to 6 s: callers wait a little longer before they give up. */
const RETRY_BUDGET_MS = 10_000;
const FIRST_PAUSE_MS = 25;
const LONGEST_PAUSE_MS = 400;
const DEFAULT_TIMEOUT_MS = 120_000;

/**
 * Calls the scheduler that leads. A replica that does not answers `unavailable`, with the leader's address in its details when it
 * knows it; the call then goes there, or to the next replica, until the budget is used up.
 */
export class LeaderCaller {
  readonly #addresses: readonly string[];
  readonly #clients = new Map<string, Clients>();
  readonly #pool: Pick<ChannelPool, 'get'>;
  #leader: string;

  constructor(addresses: readonly [string, ...string[]], pool: Pick<ChannelPool, 'get'>) {
    this.#addresses = addresses;
    this.#leader = addresses[0];
    this.#pool = pool;
  }

  call<T>(
    run: (client: ContainerClient, options: CallOptions) => Promise<T>,
    signal: AbortSignal,
    timeoutMs = DEFAULT_TIMEOUT_MS,
  ): Promise<T> {
    return this.#call(({ containers }, how) => run(containers, how), signal, timeoutMs);
  }

  callVolumes<T>(run: (client: VolumeClient, options: CallOptions) => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#call(({ volumes }, how) => run(volumes, how), signal, DEFAULT_TIMEOUT_MS);
  }

  /**
   * Answers of the leader as they come. Only the first is asked for again: a call that has begun ends with its leader. `run` is then
   * called once more.
   */
  async *streamVolumes<T>(
    run: (client: VolumeClient, options: CallOptions) => AsyncIterable<T>,
    signal: AbortSignal,
  ): AsyncGenerator<T> {
    const begin = async ({ volumes }: Clients): Promise<{ first: IteratorResult<T>; rest: AsyncIterator<T> }> => {
      const rest = run(volumes, { signal })[Symbol.asyncIterator]();
      return { first: await rest.next(), rest };
    };
    const { first, rest } = await this.#call(begin, signal, DEFAULT_TIMEOUT_MS);
    try {
      for (let next = first; !next.done; next = await rest.next()) yield next.value;
    } finally {
      await rest.return?.();
    }
  }

  callNetworks<T>(run: (client: NetworkClient, options: CallOptions) => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#call(({ networks }, how) => run(networks, how), signal, DEFAULT_TIMEOUT_MS);
  }

  async #call<T>(
    run: (clients: Clients, options: CallOptions) => Promise<T>,
    signal: AbortSignal,
    timeoutMs: number,
  ): Promise<T> {
    const giveUp = performance.now() + RETRY_BUDGET_MS;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const address = this.#leader;
      try {
        return await run(this.#clientsOf(address), { signal, timeoutMs });
      } catch (error) {
        if (!hasReason(error, 'unavailable') || signal.aborted) throw error;
        if (performance.now() > giveUp) {
          throw unavailable(`the scheduler does not answer: ${(error as Error).message}`, { cause: error });
        }
        this.#turnTo(address, error);
      }
      await sleep(pause, undefined, { signal });
    }
  }

  #turnTo(failed: string, error: unknown): void {
    if (this.#leader !== failed) return; // another call has found the leader meanwhile
    const hint = error instanceof AtollError ? error.details['leader'] : undefined;
    const next = this.#addresses[(this.#addresses.indexOf(failed) + 1) % this.#addresses.length];
    this.#leader = hint || next || failed;
  }

  #clientsOf(address: string): Clients {
    const known = this.#clients.get(address);
    if (known !== undefined) return known;
    const channel = this.#pool.get(address, 'scheduler');
    const clients = {
      containers: channel.client(containerV1.ContainerServiceService, { carried: 'all' }),
      // What streams for long has a call of its own.
      volumes: channel.client(volumeV1.VolumeServiceService, { carried: ['createVolume', 'removeVolume'] }),
      networks: channel.client(networkV1.NetworkServiceService, { carried: 'all' }),
    };
    this.#clients.set(address, clients);
    return clients;
  }
}

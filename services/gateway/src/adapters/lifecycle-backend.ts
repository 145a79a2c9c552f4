import { conflict } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { ContainerLifecycle, ResourceUpdate, StopOptions } from '../resources/container/backend.ts';
import type { ContainerView } from '../resources/container/container-view.ts';
import { keepAddressesHere } from '../resources/container/gateway-addresses.ts';
import type { ClusterState } from './cluster-state.ts';
import type { LeaderCaller } from './leader-caller.ts';
import { inDockersWords } from './port-conflict.ts';
import type { PublishedPorts } from './published-ports.ts';

/** Images may have to be fetched by the node first. */
const START_TIMEOUT_MS = 600_000;
const DEFAULT_STOP_SECONDS = 10;
const STOP_MARGIN_MS = 60_000;
const FOREVER_MS = 86_400_000;

interface Outcome {
  readonly record?: containerV1.ContainerRecord | undefined;
  readonly status?: containerV1.ContainerStatus | undefined;
}

/** Lifecycle through the scheduler's leader; what it answers is in the mirrors before the client hears of it. */
export class LifecycleBackend implements ContainerLifecycle {
  readonly #state: ClusterState;
  readonly #leader: LeaderCaller;
  readonly #ports: PublishedPorts;

  constructor(state: ClusterState, leader: LeaderCaller, ports: PublishedPorts) {
    this.#state = state;
    this.#leader = leader;
    this.#ports = ports;
  }

  async create(id: string, spec: containerV1.ContainerSpec, signal: AbortSignal): Promise<readonly string[]> {
    const isOfHost = (address: string): boolean => this.#ports.isOfHost(address);
    const request = { id, spec: this.#ports.hostsAreHere() ? spec : keepAddressesHere(spec, isOfHost) };
    const { record, warnings } = await this.#leader.call((client, how) => client.createContainer(request, how), signal);
    const chosen = (record?.ports ?? []).filter((_, at) => (spec.network?.ports[at]?.hostPort ?? 0) === 0);
    if (chosen.length > 0 && !(await this.#ports.areFree(id, chosen))) {
      await this.#leader.call((client, how) => client.removeContainer({ id, force: true, volumes: true }, how), signal);
      throw conflict(`the host ports chosen for ${spec.name} are in use on this machine`, {
        details: { retry: 'yes' },
      });
    }
    this.#state.applyRecord(record);
    return warnings;
  }

  async start(view: ContainerView, signal: AbortSignal): Promise<boolean> {
    const { id } = view.record;
    const begin = async (): Promise<boolean> => {
      const outcome = await this.#leader.call(
        (client, how) => client.startContainer({ id }, how),
        signal,
        START_TIMEOUT_MS,
      );
      this.#apply(outcome);
      return !outcome.unchanged;
    };
    return await this.#withPorts(view, begin);
  }

  async stop(view: ContainerView, options: StopOptions, signal: AbortSignal): Promise<boolean> {
    const request = { id: view.record.id, ...wire(options) };
    const outcome = await this.#leader.call(
      (client, how) => client.stopContainer(request, how),
      signal,
      patience(view, options),
    );
    this.#apply(outcome);
    return !outcome.unchanged;
  }

  async restart(view: ContainerView, options: StopOptions, signal: AbortSignal): Promise<void> {
    const { id } = view.record;
    const request = { id, ...wire(options) };
    const begin = async (): Promise<void> => {
      const limit = patience(view, options) + START_TIMEOUT_MS;
      this.#apply(await this.#leader.call((client, how) => client.restartContainer(request, how), signal, limit));
    };
    await this.#withPorts(view, begin);
  }

  async kill(view: ContainerView, killSignal: string, signal: AbortSignal): Promise<void> {
    const request = { id: view.record.id, signal: killSignal };
    this.#apply(await this.#leader.call((client, how) => client.killContainer(request, how), signal));
  }

  async pause({ record: { id } }: ContainerView, signal: AbortSignal): Promise<void> {
    this.#apply(await this.#leader.call((client, how) => client.pauseContainer({ id }, how), signal));
  }

  async unpause({ record: { id } }: ContainerView, signal: AbortSignal): Promise<void> {
    this.#apply(await this.#leader.call((client, how) => client.unpauseContainer({ id }, how), signal));
  }

  async rename({ record: { id } }: ContainerView, name: string, signal: AbortSignal): Promise<void> {
    this.#apply(await this.#leader.call((client, how) => client.renameContainer({ id, name }, how), signal));
  }

  async update({ record: { id } }: ContainerView, update: ResourceUpdate, signal: AbortSignal): Promise<void> {
    const { resources, restartPolicy } = update;
    const request = { id, resources, restartPolicy };
    this.#apply(await this.#leader.call((client, how) => client.updateContainer(request, how), signal));
  }

  async remove(
    { record: { id } }: ContainerView,
    options: { readonly force: boolean; readonly volumes: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const request = { id, ...options };
    const { revision } = await this.#leader.call((client, how) => client.removeContainer(request, how), signal);
    this.#state.applyRemoval(id, revision);
  }

  #apply({ record, status }: Outcome): void {
    // The status first: a record that says "running" must not be seen with the status of before.
    this.#state.applyStatus(status);
    this.#state.applyRecord(record);
  }

  async #withPorts<T>(view: ContainerView, begin: () => Promise<T>): Promise<T> {
    const { id, ports } = view.record;
    if (ports.length === 0) return await begin();
    return await inDockersWords(view, () => this.#ports.during(view, begin, () => this.#stopNow(id)));
  }

  async #stopNow(id: string): Promise<void> {
    const signal = AbortSignal.timeout(STOP_MARGIN_MS);
    const request = { id, signal: 'SIGKILL', timeoutSeconds: 0n };
    this.#apply(await this.#leader.call((client, how) => client.stopContainer(request, how), signal));
  }
}

function wire({ signal, timeoutSeconds }: StopOptions): { signal: string; timeoutSeconds: bigint | undefined } {
  return { signal, timeoutSeconds: timeoutSeconds === undefined ? undefined : BigInt(timeoutSeconds) };
}

/** How long a stop may take before the call itself is given up. */
function patience(view: ContainerView, { timeoutSeconds }: StopOptions): number {
  const seconds = timeoutSeconds ?? Number(view.spec.stopTimeout ?? DEFAULT_STOP_SECONDS);
  return seconds < 0 ? FOREVER_MS : Math.min(seconds * 1000 + STOP_MARGIN_MS, FOREVER_MS);
}

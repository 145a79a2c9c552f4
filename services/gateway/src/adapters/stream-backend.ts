import { setTimeout as sleep } from 'node:timers/promises';
import { hasReason } from '@atoll/errors';
import { runtimeV1 } from '@atoll/proto';
import type { AsyncQueue } from '@atoll/rpc';
import type { AttachedProcess, TerminalInput } from '../hijack/terminal-io.ts';
import type {
  AttachOptions,
  ContainerStreams,
  LogOptions,
  LogRecord,
  WaitCondition,
  WaitResult,
} from '../resources/container/backend.ts';
import type { ContainerView } from '../resources/container/container-view.ts';
import type { Agents } from './agents.ts';
import type { ClusterState } from './cluster-state.ts';
import { ContainerWait } from './container-wait.ts';
import { attached, inputRequests } from './process-streams.ts';

/** How long a follower waits for an agent that has gone, before it gives up. */
const RESUME_BUDGET_MS = 30_000;
const RESUME_PAUSE_MS = 200;

/** Byte streams straight from the agent of the container's node. */
export class StreamBackend implements ContainerStreams {
  readonly #state: ClusterState;
  readonly #agents: Agents;

  constructor(state: ClusterState, agents: Agents) {
    this.#state = state;
    this.#agents = agents;
  }

  async attach(
    view: ContainerView,
    options: AttachOptions,
    input: AsyncQueue<TerminalInput>,
    signal: AbortSignal,
  ): Promise<AttachedProcess> {
    const value = { containerId: view.record.id, ...options };
    const requests = inputRequests({ $case: 'start' as const, value }, input);
    const answers = this.#agents.of(view).attach(requests, { signal });
    return await attached(answers, 'ready', (first) => first.message?.$case === 'ready' && first.message.value.tty);
  }

  async *logs(view: ContainerView, options: LogOptions, signal: AbortSignal): AsyncGenerator<LogRecord> {
    const request = {
      ...options,
      containerId: view.record.id,
      tail: BigInt(options.tail),
    };
    let current: ContainerView | undefined = view;
    let lost: number | undefined;
    while (current !== undefined) {
      try {
        for await (const { stream, timeNs, data } of this.#agents.of(current).logs(request, { signal })) {
          lost = undefined;
          request.sinceNs = timeNs + 1n;
          request.tail = -1n;
          yield { stream: stream === runtimeV1.StdStream.STDERR ? 'stderr' : 'stdout', timeNs, data };
        }
        return;
      } catch (error) {
        lost ??= performance.now();
        const late = performance.now() - lost > RESUME_BUDGET_MS;
        if (!options.follow || late || signal.aborted || !hasReason(error, 'unavailable')) throw error;
      }
      // The agent restarts, or the container is placed anew: go on behind the last record.
      await sleep(RESUME_PAUSE_MS, undefined, { signal });
      current = this.#state.get(view.record.id);
    }
  }

  async wait(
    view: ContainerView,
    condition: WaitCondition,
    signal: AbortSignal,
  ): Promise<{ readonly result: Promise<WaitResult> }> {
    const wait = new ContainerWait(this.#state, this.#agents, view.record.id, condition, signal);
    return await wait.open();
  }

  stats(
    view: ContainerView,
    options: { readonly stream: boolean; readonly oneShot: boolean },
    signal: AbortSignal,
  ): AsyncIterable<runtimeV1.StatsResponse> {
    return this.#agents.of(view).stats({ containerId: view.record.id, ...options }, { signal });
  }

  async resize(
    view: ContainerView,
    size: { readonly height: number; readonly width: number },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#agents.of(view).resize({ containerId: view.record.id, window: size }, { signal });
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { hasReason, unavailable } from '@atoll/errors';
import { containerV1, type runtimeV1 } from '@atoll/proto';
import type { WaitCondition, WaitResult } from '../resources/container/backend.ts';
import { currentStatus, dockerState } from '../resources/container/container-state.ts';
import type { ContainerView } from '../resources/container/container-view.ts';
import type { Agents } from './agents.ts';
import type { ClusterState } from './cluster-state.ts';

const PAUSE_MS = 200;
/** What docker says for a process that was killed: a container that went down with its host. */
const KILLED = 137;

/**
 * One wait for a container's end. The agent watches; when it goes away the wait is taken up again with it, or with the agent of
 * the host the container was placed on anew, or answered by what the cluster knows.
 */
export class ContainerWait {
  readonly #state: ClusterState;
  readonly #agents: Agents;
  readonly #id: string;
  readonly #signal: AbortSignal;
  #condition: WaitCondition;
  #lastExit = 0;

  constructor(state: ClusterState, agents: Agents, id: string, condition: WaitCondition, signal: AbortSignal) {
    this.#state = state;
    this.#agents = agents;
    this.#id = id;
    this.#condition = condition;
    this.#signal = signal;
  }

  /** Resolves when the condition is being watched. */
  async open(): Promise<{ readonly result: Promise<WaitResult> }> {
    const view = this.#state.get(this.#id);
    if (view === undefined) return { result: Promise.resolve({ exitCode: 0, error: '' }) };
    const known = this.#verdict(view);
    if (known !== undefined) return { result: Promise.resolve(known) };
    const stream = this.#agents
      .of(view)
      .wait({ containerId: this.#id, condition: this.#condition }, { signal: this.#signal });
    const answers = stream[Symbol.asyncIterator]();
    const first = await answers.next();
    return { result: first.done === true ? this.#resume() : this.#follow(first.value, answers) };
  }

  async #follow(first: runtimeV1.WaitResponse, answers: AsyncIterator<runtimeV1.WaitResponse>): Promise<WaitResult> {
    try {
      for (let answer = first; ; ) {
        if (!answer.waiting) {
          this.#state.applyStatus(answer.status);
          // Docker tells an error only when the container could not be brought to the condition, not why its process failed.
          const stuck = answer.status?.state === containerV1.ContainerState.DEAD;
          return { exitCode: answer.exitCode, error: stuck ? answer.error : '' };
        }
        const next = await answers.next();
        if (next.done === true) throw unavailable('the node ended the wait without an answer');
        answer = next.value;
      }
    } catch (error) {
      if (this.#signal.aborted || !hasReason(error, 'unavailable')) throw error;
      return await this.#resume();
    }
  }

  async #resume(): Promise<WaitResult> {
    for (;;) {
      await sleep(PAUSE_MS, undefined, { signal: this.#signal });
      const view = this.#state.get(this.#id);
      if (view === undefined) return { exitCode: this.#lastExit, error: '' };
      this.#lastExit = view.status?.exitCode ?? this.#lastExit;
      // It ran while it was watched: an end that came meanwhile is the one that was waited for.
      if (this.#condition === 'next-exit' && dockerState(view) !== 'created') this.#condition = 'not-running';
      try {
        return await (await this.open()).result;
      } catch (error) {
        if (hasReason(error, 'not-found')) return { exitCode: this.#lastExit, error: '' };
        if (this.#signal.aborted || !hasReason(error, 'unavailable')) throw error;
      }
    }
  }

  /** What the cluster knows without asking the agent: the end of a container whose host is lost. */
  #verdict(view: ContainerView): WaitResult | undefined {
    if (this.#condition === 'removed') return undefined;
    const lost = view.record.lostReason !== '' || currentStatus(view)?.state === containerV1.ContainerState.LOST;
    return lost ? { exitCode: KILLED, error: view.record.lostReason } : undefined;
  }
}

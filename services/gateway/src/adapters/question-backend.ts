import type { runtimeV1 } from '@atoll/proto';
import type { ContainerDetails, ContainerQuestions } from '../resources/container/backend.ts';
import type { ContainerView } from '../resources/container/container-view.ts';
import type { Agents } from './agents.ts';
import type { ClusterState } from './cluster-state.ts';

/** A host that hangs must not hang a list of all hosts' containers. */
const USAGE_TIMEOUT_MS = 5_000;
const DETAILS_TIMEOUT_MS = 2_000;

/** Questions to agents about single containers, and one to all of them. */
export class QuestionBackend implements ContainerQuestions {
  readonly #state: ClusterState;
  readonly #agents: Agents;

  constructor(state: ClusterState, agents: Agents) {
    this.#state = state;
    this.#agents = agents;
  }

  async details(view: ContainerView, signal: AbortSignal): Promise<ContainerDetails> {
    const how = { signal, timeoutMs: DETAILS_TIMEOUT_MS };
    const answer = await this.#agents.of(view).getStatus({ containerId: view.record.id }, how);
    this.#state.applyStatus(answer.status);
    return { logPath: answer.logPath, execIds: answer.execIds, health: answer.health };
  }

  async top(view: ContainerView, psArgs: string, signal: AbortSignal): Promise<runtimeV1.TopResponse> {
    return await this.#agents.of(view).top({ containerId: view.record.id, psArgs }, { signal });
  }

  async changes(view: ContainerView, signal: AbortSignal): Promise<readonly runtimeV1.Change[]> {
    return (await this.#agents.of(view).listChanges({ containerId: view.record.id }, { signal })).changes;
  }

  async sizes(views: readonly ContainerView[], signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const wanted = new Set(views.map((view) => view.record.nodeId));
    const nodes = this.#state.nodes().filter(({ record }) => wanted.has(record.id));
    const how = { signal, timeoutMs: USAGE_TIMEOUT_MS };
    const answers = await Promise.allSettled(
      nodes.map(async (node) => await this.#agents.ofNode(node)?.getUsage({ volumes: false }, how)),
    );
    const sizes = new Map<string, number>();
    for (const answer of answers) {
      if (answer.status === 'rejected') continue;
      for (const { containerId, sizeRw } of answer.value?.containers ?? []) sizes.set(containerId, Number(sizeRw));
    }
    return sizes;
  }
}

import { notFound } from '@atoll/errors';
import type { runtimeV1 } from '@atoll/proto';
import type { AsyncQueue } from '@atoll/rpc';
import type { AttachedProcess, TerminalInput } from '../hijack/terminal-io.ts';
import type { ContainerView } from '../resources/container/container-view.ts';
import type { ExecBackend, ExecStartOptions } from '../resources/exec/backend.ts';
import type { Agents, RuntimeClient } from './agents.ts';
import type { ClusterState } from './cluster-state.ts';
import { attached, inputRequests } from './process-streams.ts';

/** Execs remembered; older ones, and those made through another gateway, are asked for at all agents. */
const REMEMBERED = 10_000;
const SEARCH_TIMEOUT_MS = 5_000;

interface KnownExec {
  readonly client: RuntimeClient;
  readonly detachKeys: string;
}

export class AgentExecs implements Omit<ExecBackend, 'find' | 'list' | 'nodeCount' | 'tell'> {
  readonly #state: ClusterState;
  readonly #agents: Agents;
  readonly #known = new Map<string, KnownExec>();

  constructor(state: ClusterState, agents: Agents) {
    this.#state = state;
    this.#agents = agents;
  }

  async createExec(view: ContainerView, spec: runtimeV1.ExecSpec, signal: AbortSignal): Promise<string> {
    const client = this.#agents.of(view);
    const { execId } = await client.createExec({ containerId: view.record.id, spec }, { signal });
    this.#remember(execId, { client, detachKeys: spec.detachKeys });
    return execId;
  }

  async startExec(
    execId: string,
    options: ExecStartOptions,
    input: AsyncQueue<TerminalInput>,
    signal: AbortSignal,
  ): Promise<AttachedProcess> {
    const { client, detachKeys } = await this.#find(execId, signal);
    const requests = inputRequests(startMessage(execId, options, false), input);
    const process = await attached(client.startExec(requests, { signal }), 'started', () => options.tty);
    return { ...process, detachKeys };
  }

  async startDetachedExec(execId: string, options: ExecStartOptions, signal: AbortSignal): Promise<void> {
    const { client } = await this.#find(execId, signal);
    const message = startMessage(execId, options, true);
    for await (const answer of client.startExec(once({ message }), { signal })) {
      if (answer.message?.$case === 'started') return;
    }
  }

  async inspectExec(execId: string, signal: AbortSignal): Promise<runtimeV1.InspectExecResponse> {
    const { client } = await this.#find(execId, signal);
    return await client.inspectExec({ execId }, { signal });
  }

  async resizeExec(
    execId: string,
    size: { readonly height: number; readonly width: number },
    signal: AbortSignal,
  ): Promise<void> {
    const { client } = await this.#find(execId, signal);
    await client.resizeExec({ execId, window: size }, { signal });
  }

  async #find(execId: string, signal: AbortSignal): Promise<KnownExec> {
    const known = this.#known.get(execId);
    if (known !== undefined) return known;
    const how = { signal, timeoutMs: SEARCH_TIMEOUT_MS };
    const searches = this.#state.nodes().map(async (node): Promise<KnownExec> => {
      const client = this.#agents.ofNode(node);
      if (client === undefined) throw notFound('no address');
      const { spec } = await client.inspectExec({ execId }, how);
      return { client, detachKeys: spec?.detachKeys ?? '' };
    });
    const found = await Promise.any(searches).catch(() => undefined);
    if (found === undefined) throw notFound(`No such exec instance: ${execId}`);
    this.#remember(execId, found);
    return found;
  }

  #remember(execId: string, exec: KnownExec): void {
    this.#known.set(execId, exec);
    if (this.#known.size <= REMEMBERED) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }
}

function startMessage(execId: string, { tty, height, width }: ExecStartOptions, detach: boolean) {
  const value: runtimeV1.ExecStart = {
    execId,
    detach,
    tty,
    console: height > 0 || width > 0 ? { height, width } : undefined,
  };
  return { $case: 'start' as const, value };
}

async function* once<T>(item: T): AsyncGenerator<T> {
  yield item;
}

import { setTimeout as sleep } from 'node:timers/promises';
import { hasReason, internal } from '@atoll/errors';
import { buildV1, nodeV1 } from '@atoll/proto';
import type { ChannelPool, Client } from '@atoll/rpc';
import type { BuildHost, HostPlacer } from '../steps/build-host.ts';
import { AgentHost } from './agent-host.ts';

type Nodes = Client<typeof nodeV1.NodeServiceService>;

/** As long as a change of the scheduler's leader may take. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 200;

/** Hosts as the scheduler places them, reached at the address their agent announced, under its node's certificate. */
export class SchedulerPlacer implements HostPlacer {
  readonly #schedulers: readonly Nodes[];
  readonly #channels: ChannelPool;
  #leader = 0;

  /** @param schedulers all replicas; only the leader places */
  constructor(schedulers: readonly Nodes[], channels: ChannelPool) {
    this.#schedulers = schedulers;
    this.#channels = channels;
  }

  async place(constraints: readonly string[], avoid: readonly string[], signal: AbortSignal): Promise<BuildHost> {
    const request = nodeV1.PlaceBuildRequest.fromPartial({ constraints: [...constraints], avoid: [...avoid] });
    const { node } = await this.#ask(request, signal);
    const address = node?.facts?.address;
    if (!node || !address) throw internal('the scheduler named a host without an address');
    const steps = this.#channels.get(address, 'node', node.id).client(buildV1.BuildStepServiceService);
    return new AgentHost(node.id, node.facts?.hostname || node.id, steps);
  }

  /** Asks the replica that answered last, then the others, until one is the leader. */
  async #ask(request: nodeV1.PlaceBuildRequest, signal: AbortSignal): Promise<nodeV1.PlaceBuildResponse> {
    const end = performance.now() + PATIENCE_MS;
    for (let attempt = 1; ; attempt++) {
      const scheduler = this.#schedulers[this.#leader % this.#schedulers.length] as Nodes;
      try {
        return await scheduler.placeBuild(request, { signal, timeoutMs: PATIENCE_MS });
      } catch (error) {
        if (!hasReason(error, 'unavailable') || performance.now() > end) throw error;
        this.#leader++;
        if (attempt % this.#schedulers.length === 0) await sleep(PAUSE_MS, undefined, { signal });
      }
    }
  }
}

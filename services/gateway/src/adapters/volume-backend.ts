import { internal } from '@atoll/errors';
import type { volumeV1 } from '@atoll/proto';
import type { VolumeLifecycle, VolumeQuestions } from '../resources/volume/backend.ts';
import type { Agents } from './agents.ts';
import type { ClusterState } from './cluster-state.ts';
import type { LeaderCaller } from './leader-caller.ts';

/** A host measures all its volumes, file by file. */
const SIZES_TIMEOUT_MS = 60_000;

/** Volumes over the scheduler and the agents. */
export class VolumeAdapter implements VolumeLifecycle, VolumeQuestions {
  readonly #state: ClusterState;
  readonly #agents: Agents;
  readonly #leader: LeaderCaller;

  constructor(state: ClusterState, agents: Agents, leader: LeaderCaller) {
    this.#state = state;
    this.#agents = agents;
    this.#leader = leader;
  }

  async createVolume(asked: volumeV1.VolumeRecord, signal: AbortSignal): Promise<volumeV1.VolumeRecord> {
    const { volume } = await this.#leader.callVolumes(
      (client, how) => client.createVolume({ volume: asked }, how),
      signal,
    );
    if (!volume) throw internal('the scheduler answered without the volume');
    this.#state.applyVolume(volume);
    return volume;
  }

  async removeVolume(name: string, force: boolean, signal: AbortSignal): Promise<void> {
    const request = { name, force };
    const { revision } = await this.#leader.callVolumes((client, how) => client.removeVolume(request, how), signal);
    this.#state.applyVolumeRemoval(name, revision);
  }

  async volumeSizes(signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const how = { signal, timeoutMs: SIZES_TIMEOUT_MS };
    const answers = await Promise.allSettled(
      this.#state.nodes().map(async (node) => await this.#agents.ofNode(node)?.getUsage({ volumes: true }, how)),
    );
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? (answer.value?.volumes ?? []) : []));
    return new Map(found.map(({ name, size }) => [name, Number(size)]));
  }
}

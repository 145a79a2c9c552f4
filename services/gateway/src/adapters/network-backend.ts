import { randomBytes } from 'node:crypto';
import { internal } from '@atoll/errors';
import type { networkV1 } from '@atoll/proto';
import type { ContainerView } from '../resources/container/container-view.ts';
import type { NetworkChanges } from '../resources/network/backend.ts';
import type { NetworkView } from '../resources/network/network-view.ts';
import type { ClusterState } from './cluster-state.ts';
import type { KnownNetworks } from './known-networks.ts';
import type { LeaderCaller } from './leader-caller.ts';

/** Networks through the scheduler's leader; what it answers is in the mirrors before the client hears of it. */
export class NetworkAdapter implements NetworkChanges {
  readonly #state: ClusterState;
  readonly #networks: KnownNetworks;
  readonly #leader: LeaderCaller;

  constructor(state: ClusterState, networks: KnownNetworks, leader: LeaderCaller) {
    this.#state = state;
    this.#networks = networks;
    this.#leader = leader;
  }

  async createNetwork(asked: networkV1.NetworkRecord, signal: AbortSignal): Promise<string> {
    const request = { network: asked };
    const { network, warning } = await this.#leader.callNetworks(
      (client, how) => client.createNetwork(request, how),
      signal,
    );
    if (!network) throw internal('the scheduler answered without the network');
    this.#networks.apply(network);
    return warning;
  }

  async removeNetwork({ id }: NetworkView, signal: AbortSignal): Promise<void> {
    const { revision } = await this.#leader.callNetworks((client, how) => client.removeNetwork({ id }, how), signal);
    this.#networks.applyRemoval(id, revision);
  }

  async connect(
    network: NetworkView,
    { record }: ContainerView,
    endpoint: networkV1.EndpointSpec,
    signal: AbortSignal,
  ): Promise<void> {
    // Of our choice, so that the call can be repeated when its answer does not arrive.
    const endpointId = randomBytes(32).toString('hex');
    const request = { networkId: network.id, containerId: record.id, endpoint, endpointId };
    const { revision } = await this.#leader.callNetworks(
      (client, how) => client.connectContainer(request, how),
      signal,
    );
    await this.#state.shows(record.id, revision, signal);
  }

  async disconnect(
    network: NetworkView,
    { record }: ContainerView,
    force: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const request = { networkId: network.id, containerId: record.id, force };
    const { revision } = await this.#leader.callNetworks(
      (client, how) => client.disconnectContainer(request, how),
      signal,
    );
    await this.#state.shows(record.id, revision, signal);
  }
}

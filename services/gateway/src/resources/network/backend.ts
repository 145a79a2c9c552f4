import type { networkV1 } from '@atoll/proto';
import type { ContainerLookup } from '../container/backend.ts';
import type { ContainerView } from '../container/container-view.ts';
import type { NetworkView, NodeNetwork } from './network-view.ts';

export interface NetworkLookup {
  /** By full id, name, or unique prefix of the id; undefined when there is none. @throws invalid-argument for a prefix of several */
  findNetwork(reference: string): NetworkView | undefined;
  /** Those of users, oldest first, after those every cluster has. */
  listNetworks(): readonly NetworkView[];
}

/** Changes of networks. Each resolves when a following lookup shows the change. */
export interface NetworkChanges {
  /** @returns a warning, empty when there is none @throws already-exists, invalid-argument naming the field */
  createNetwork(network: networkV1.NetworkRecord, signal: AbortSignal): Promise<string>;
  /** @throws not-found, failed-precondition while containers are connected that run */
  removeNetwork(network: NetworkView, signal: AbortSignal): Promise<void>;
  connect(
    network: NetworkView,
    container: ContainerView,
    endpoint: networkV1.EndpointSpec,
    signal: AbortSignal,
  ): Promise<void>;
  disconnect(network: NetworkView, container: ContainerView, force: boolean, signal: AbortSignal): Promise<void>;
}

export interface NetworkNews {
  tellPrune(type: 'network', reclaimed: number): void;
}

export interface NetworkBackend
  extends Pick<ContainerLookup, 'find' | 'list'>,
    NetworkLookup,
    NetworkChanges,
    NetworkNews {
  nodeNetworks(): readonly NodeNetwork[];
  /** Unix ns the cluster's first node joined. */
  clusterSinceNs(): bigint;
}

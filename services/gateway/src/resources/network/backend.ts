import type { ContainerLookup } from '../container/backend.ts';

export interface NodeNetwork {
  readonly hostname: string;
  /** The node's block of container addresses, CIDR. */
  readonly subnet: string;
}

export interface NetworkBackend extends Pick<ContainerLookup, 'list'> {
  nodeNetworks(): readonly NodeNetwork[];
  /** Unix ns the cluster's first node joined. */
  clusterSinceNs(): bigint;
}

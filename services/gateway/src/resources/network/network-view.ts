import type { networkV1, nodeV1 } from '@atoll/proto';

/** A network as clients see it: of a user, or one of the three every cluster has. */
export interface NetworkView {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly scope: string;
  /** Undefined for those every cluster has. */
  readonly record: networkV1.NetworkRecord | undefined;
}

/** A host and its block of addresses of the default bridge, CIDR; empty until it has one. */
export interface NodeNetwork {
  readonly nodeId: string;
  readonly hostname: string;
  readonly subnet: string;
}

/** A host with members of a network. */
export type NetworkPeer = Pick<nodeV1.NodeFacts, 'hostname' | 'hostIp'>;

import { relative } from 'node:path';
import type { containerV1 } from '@atoll/proto';
import type { Endpoint as BridgeEndpoint } from '../network/host-network.ts';
import {
  type NetworksPlan,
  type PlacedEndpoint,
  type PublishedAddresses,
  planEndpoints,
} from '../network/user/endpoint-links.ts';
import type { UserNetworks } from '../network/user/user-networks.ts';

/** The places of this host's containers in networks of users, by their records. */
export class ContainerNetworks {
  readonly #networks: UserNetworks;
  readonly #resolver: string;

  /** `resolver`: path of the socket that answers names. */
  constructor(networks: UserNetworks, resolver: string) {
    this.#networks = networks;
    this.#resolver = resolver;
  }

  /** Resolves when links can be made. Throws failed-precondition for a network this host was not told of. */
  async place(record: containerV1.ContainerRecord): Promise<readonly PlacedEndpoint[]> {
    return await Promise.all(
      record.endpoints.map(async (endpoint) => {
        const network = await this.#networks.ready(endpoint.networkId);
        return { endpoint, network: network.record, mtu: network.mtu };
      }),
    );
  }

  /** What the shim makes of them. Throws invalid-argument for options that are not done. */
  plan(placed: readonly PlacedEndpoint[], bridge: BridgeEndpoint | undefined, bundle: string): NetworksPlan {
    const { endpoints, published } = planEndpoints(placed, bridge, relative(bundle, this.#resolver));
    return { endpoints: { ...endpoints, binding: this.#networks.table }, published };
  }

  /** Where a container's published ports lead to. Networks this host was not told of do not count. */
  published(record: containerV1.ContainerRecord, bridge: BridgeEndpoint | undefined): PublishedAddresses {
    const placed = record.endpoints.flatMap((endpoint) => {
      const network = this.#networks.get(endpoint.networkId);
      return network ? [{ endpoint, network: network.record, mtu: network.mtu }] : [];
    });
    return planEndpoints(placed, bridge, undefined).published;
  }
}

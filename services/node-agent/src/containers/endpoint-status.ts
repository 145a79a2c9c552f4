import type { Endpoint } from '../network/host-network.ts';
import type { StatusChange } from './status-book.ts';

/** How a status tells a container's place on the network; all empty when it has none. */
export function endpointStatus(endpoint: Endpoint | undefined): StatusChange {
  return {
    ipAddress: endpoint?.address ?? '',
    ipPrefixLen: endpoint?.prefixLength ?? 0,
    gateway: endpoint?.gateway ?? '',
    macAddress: endpoint?.macAddress ?? '',
  };
}

import type { RouteFactories } from '../../routing/route-factories.ts';
import type { NetworkBackend } from './backend.ts';
import { connectNetwork, disconnectNetwork } from './connect.ts';
import { createNetwork } from './create.ts';
import { inspectNetwork, listNetworks, removeNetwork } from './handlers.ts';
import { pruneNetworks } from './prune.ts';

export const NETWORK_ROUTES = {
  NetworkList: listNetworks,
  NetworkInspect: inspectNetwork,
  NetworkDelete: removeNetwork,
  NetworkCreate: createNetwork,
  NetworkConnect: connectNetwork,
  NetworkDisconnect: disconnectNetwork,
  NetworkPrune: pruneNetworks,
} as const satisfies RouteFactories<NetworkBackend>;

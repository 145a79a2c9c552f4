import type { RouteFactories } from '../../routing/route-factories.ts';
import type { NetworkBackend } from './backend.ts';
import { inspectNetwork, listNetworks } from './handlers.ts';

export const NETWORK_ROUTES = {
  NetworkList: listNetworks,
  NetworkInspect: inspectNetwork,
} as const satisfies RouteFactories<NetworkBackend>;

import { isIP } from 'node:net';
import type { networkV1 } from '@atoll/proto';
import type { EndpointPlan, EndpointsPlan, GatewayPlan } from '../../runtime/endpoints-plan.ts';
import type { Endpoint as BridgeEndpoint } from '../host-network.ts';
import { defaultRoutes, type RouteCandidate } from './default-routes.ts';
import { endpointSysctls } from './endpoint-sysctls.ts';
import { parentOf } from './macvlan-network.ts';
import { bridgeOf } from './overlay-device.ts';

/** By family; empty without a way out. */
export interface PublishedAddresses {
  readonly ipv4: string;
  readonly ipv6: string;
}

/** An endpoint with what this host knows of its network. */
export interface PlacedEndpoint {
  readonly endpoint: networkV1.Endpoint;
  readonly network: networkV1.NetworkRecord;
  readonly mtu: number;
}

export interface NetworksPlan {
  readonly endpoints: EndpointsPlan;
  /** Where published ports lead to. */
  readonly published: PublishedAddresses;
}

export const LINK_PREFIX = 'atv';

/** Name on the host of an endpoint's link: at most 15 bytes, and not that of any container's link to the default bridge. */
export function endpointInterfaceOf(endpointId: string): string {
  return `${LINK_PREFIX}${endpointId.slice(0, 12)}`;
}

/** What the shim makes for a container that is in these networks, beside its link to the default bridge. Throws invalid-argument. */
export function planEndpoints(
  placed: readonly PlacedEndpoint[],
  bridge: BridgeEndpoint | undefined,
  dns: string | undefined,
): NetworksPlan {
  const routes = defaultRoutes([...(bridge ? [bridgeCandidate(bridge)] : []), ...placed.map(candidate)]);
  const bridgeIsDefault = bridge !== undefined && routes.ipv4?.interface === bridge.interfaceName;
  const gateways: GatewayPlan[] = [];
  if (routes.ipv4) gateways.push({ interface: routes.ipv4.interface, address: routes.ipv4.ipv4Gateway });
  if (routes.ipv6) gateways.push({ interface: routes.ipv6.interface, address: routes.ipv6.ipv6Gateway });
  // A macvlan network is reached where it is, not by ports of the host.
  const byInterface = (route: RouteCandidate | undefined) =>
    placed.find(({ endpoint, network }) => network.driver !== 'macvlan' && endpoint.interfaceName === route?.interface)
      ?.endpoint;
  return {
    endpoints: {
      links: placed.map(linkOf),
      gateways,
      sysctls: Object.assign({}, ...placed.map(sysctlsOf)) as Record<string, string>,
      dns: placed.length > 0 ? dns : undefined,
    },
    published: {
      ipv4: bridgeIsDefault ? bridge.address : (byInterface(routes.ipv4)?.ipv4Address ?? ''),
      ipv6: byInterface(routes.ipv6)?.ipv6Address ?? '',
    },
  };
}

function bridgeCandidate({ gateway, interfaceName }: BridgeEndpoint): RouteCandidate {
  return {
    name: 'bridge',
    interface: interfaceName,
    priority: 0,
    internal: false,
    ipv4Gateway: gateway,
    ipv6Gateway: '',
  };
}

function candidate({ endpoint, network }: PlacedEndpoint): RouteCandidate {
  return {
    name: network.name,
    interface: endpoint.interfaceName,
    priority: endpoint.asked?.gwPriority ?? 0,
    internal: network.internal,
    ipv4Gateway: endpoint.ipv4Address === '' ? '' : endpoint.ipv4Gateway,
    ipv6Gateway: endpoint.ipv6Address === '' ? '' : endpoint.ipv6Gateway,
  };
}

function linkOf({ endpoint, network, mtu }: PlacedEndpoint): EndpointPlan {
  const linkLocal = endpoint.asked?.linkLocalIps ?? [];
  return {
    ...(network.driver === 'macvlan' ? parentOf(network) : { bridge: bridgeOf(network.id) }),
    hostInterface: endpointInterfaceOf(endpoint.endpointId),
    containerInterface: endpoint.interfaceName,
    macAddress: endpoint.macAddress,
    mtu,
    addresses: [
      ...(endpoint.ipv4Address === '' ? [] : [`${endpoint.ipv4Address}/${endpoint.ipv4PrefixLength}`]),
      ...(endpoint.ipv6Address === '' ? [] : [`${endpoint.ipv6Address}/${endpoint.ipv6PrefixLength}`]),
      ...linkLocal.map((address) => `${address}/${isIP(address) === 4 ? 16 : 64}`),
    ],
  };
}

function sysctlsOf({ endpoint }: PlacedEndpoint): Readonly<Record<string, string>> {
  return endpointSysctls(endpoint.asked?.driverOpts ?? {}, endpoint.interfaceName);
}

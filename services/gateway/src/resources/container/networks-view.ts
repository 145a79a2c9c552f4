import { defaultBridgeOf, dnsNames, networkIdOf, networkNameOf } from '@atoll/docker-api';
import type { networkV1 } from '@atoll/proto';
import { currentStatus, isRunning } from './container-state.ts';
import type { ContainerView } from './container-view.ts';

/** Docker's name of the network mode of a container. */
export function networkName(view: ContainerView): string {
  return networkNameOf(view.spec.network?.mode ?? '');
}

/** The network every cluster has that a container is in: the default bridge also when it was connected later. */
export function builtInNetworkOf(view: ContainerView): string | undefined {
  const name = networkName(view);
  if (name === 'host' || name === 'none') return name;
  // One without a network is shown where its mode says, without an address.
  const isThere = defaultBridgeOf(view.record) || (name === 'bridge' && view.spec.network?.networkDisabled);
  return isThere ? 'bridge' : undefined;
}

/** Names and ids of the networks a container is in. */
export function networkReferences(view: ContainerView): readonly { readonly name: string; readonly id: string }[] {
  const name = builtInNetworkOf(view);
  const builtIn = name === undefined ? [] : [{ name, id: networkIdOf(name) }];
  return [
    ...builtIn,
    ...view.record.endpoints.map(({ networkId, asked }) => ({ name: asked?.network ?? '', id: networkId })),
  ];
}

/**
 * Where a running container is reached from its host: on the default bridge, else in the network with its default route. No packet passes
 * between a host's interface and the macvlan links on it.
 */
export function addressOnHost(view: ContainerView): string | undefined {
  const status = currentStatus(view);
  if (status?.ipAddress) return status.ipAddress;
  const [first] = view.record.endpoints
    .filter(({ ipv4Address, ipv4Gateway, driver }) => ipv4Address !== '' && ipv4Gateway !== '' && driver !== 'macvlan')
    .sort((a, b) => (b.asked?.gwPriority ?? 0) - (a.asked?.gwPriority ?? 0) || byName(a, b));
  return first?.ipv4Address;
}

function byName(a: networkV1.Endpoint, b: networkV1.Endpoint): number {
  return (a.asked?.network ?? '') < (b.asked?.network ?? '') ? -1 : 1;
}

/**
 * Before API 1.45 the short id was among the aliases of networks of users, and clients of that time look for it.
 * @param inspected answer of GET /containers/{id}/json
 */
export function withShortIdAliases(inspected: Record<string, unknown>, view: ContainerView): Record<string, unknown> {
  const settings = inspected['NetworkSettings'] as Record<string, unknown>;
  const networks = { ...(settings['Networks'] as Record<string, Record<string, unknown>>) };
  const shortId = view.record.id.slice(0, 12);
  for (const { asked } of view.record.endpoints) {
    const name = asked?.network ?? '';
    networks[name] = { ...networks[name], Aliases: [...(asked?.aliases ?? []), shortId] };
  }
  return { ...inspected, NetworkSettings: { ...settings, Networks: networks } };
}

/** `NetworkSettings.Networks`; in another container's network it has no end of its own. */
export function networksOf(view: ContainerView): Record<string, unknown> {
  const name = builtInNetworkOf(view);
  const ends = view.record.endpoints.map((endpoint) => [endpoint.asked?.network ?? '', userEndpoint(view, endpoint)]);
  return Object.fromEntries(name === undefined ? ends : [[name, builtInEndpoint(view, name)], ...ends]);
}

/** The container's end of a network every cluster has, as in `NetworkSettings.Networks`. */
export function builtInEndpoint(view: ContainerView, name: string): Record<string, unknown> {
  const status = isRunning(view) ? currentStatus(view) : undefined;
  return {
    IPAMConfig: null,
    Links: null,
    Aliases: null,
    MacAddress: status?.macAddress ?? '',
    DriverOpts: null,
    GwPriority: 0,
    NetworkID: networkIdOf(name),
    EndpointID: status === undefined ? '' : defaultBridgeOf(view.record)?.endpointId || view.record.id,
    Gateway: status?.gateway ?? '',
    IPAddress: status?.ipAddress ?? '',
    IPPrefixLen: status?.ipPrefixLen ?? 0,
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    DNSNames: null,
  };
}

/** Addresses are the container's as long as it is connected; docker shows them while it runs. */
function userEndpoint(view: ContainerView, endpoint: networkV1.Endpoint): Record<string, unknown> {
  const { record, spec } = view;
  const { asked } = endpoint;
  const at = isRunning(view) ? endpoint : undefined;
  return {
    IPAMConfig: ipamConfig(asked),
    Links: orNull((asked?.links ?? []).map(({ container, alias }) => `${container}:${alias}`)),
    Aliases: orNull(asked?.aliases ?? []),
    MacAddress: at?.macAddress ?? asked?.macAddress ?? '',
    DriverOpts: Object.keys(asked?.driverOpts ?? {}).length === 0 ? null : asked?.driverOpts,
    GwPriority: asked?.gwPriority ?? 0,
    NetworkID: endpoint.networkId,
    EndpointID: at?.endpointId ?? '',
    Gateway: at?.ipv4Gateway ?? '',
    IPAddress: at?.ipv4Address ?? '',
    IPPrefixLen: at?.ipv4PrefixLength ?? 0,
    IPv6Gateway: at?.ipv6Gateway ?? '',
    GlobalIPv6Address: at?.ipv6Address ?? '',
    GlobalIPv6PrefixLen: at?.ipv6PrefixLength ?? 0,
    DNSNames: withService(
      dnsNames(record.id, spec.name, spec.network?.hostname ?? '', asked?.aliases ?? []),
      endpoint.serviceName,
    ),
  };
}

function withService(names: readonly string[], service: string): readonly string[] {
  return service === '' || names.includes(service) ? names : [...names, service];
}

function ipamConfig(asked: networkV1.EndpointSpec | undefined): Record<string, unknown> | null {
  const { ipv4Address = '', ipv6Address = '', linkLocalIps = [] } = asked ?? {};
  const config = {
    ...(ipv4Address === '' ? {} : { IPv4Address: ipv4Address }),
    ...(ipv6Address === '' ? {} : { IPv6Address: ipv6Address }),
    ...(linkLocalIps.length === 0 ? {} : { LinkLocalIPs: linkLocalIps }),
  };
  return Object.keys(config).length === 0 ? null : config;
}

function orNull(list: readonly string[]): readonly string[] | null {
  return list.length === 0 ? null : list;
}

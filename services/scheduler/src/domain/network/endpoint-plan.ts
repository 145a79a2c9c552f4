import { randomBytes } from 'node:crypto';
import { defaultBridgeOf } from '@atoll/docker-api';
import { conflict, invalidArgument, permissionDenied } from '@atoll/errors';
import type { containerV1, networkV1 } from '@atoll/proto';
import type { GivenAddress } from './address-space.ts';
import { canonicalMac, checkDriverOptions, interfaceName, macFor, takenInterfaces } from './endpoint-names.ts';
import { formatIp, type IpVersion, parseIp } from './ip-address.ts';
import type { NetworkTable } from './network-table.ts';
import { noneLeft, virtualAddresses } from './virtual-addresses.ts';

const BUILT_IN: ReadonlySet<string> = new Set(['', 'default', 'bridge', 'host', 'none']);
const MAX_ENDPOINTS = 64;
const MAX_NAMES = 64;
const NAME = /^[^\s/:\p{Cc}]{1,255}$/u;

export interface Connected {
  readonly mode: string;
  /** The default bridge's interface; undefined when the container is not there. */
  readonly bridge: string | undefined;
  /** It belongs to; empty: to none. */
  readonly service: string;
  readonly endpoints: readonly networkV1.Endpoint[];
}

/**
 * A new place in a network, with addresses nobody has. The caller holds it before anything else happens.
 * @param field what the request calls the endpoint, for errors
 * @throws invalid-argument naming the field, conflict when a fixed address is in use, resource-exhausted when none is left
 */
export function planEndpoint(
  table: NetworkTable,
  network: networkV1.NetworkRecord,
  container: Connected,
  given: networkV1.EndpointSpec,
  field: string,
  endpointId = randomBytes(32).toString('hex'),
): networkV1.Endpoint {
  checkMode(container.mode);
  if (network.configOnly) {
    throw permissionDenied(`cannot create endpoint on configuration-only network ${network.name}`);
  }
  if (container.endpoints.length >= MAX_ENDPOINTS) {
    throw invalidArgument(`${field}: a container can be in at most ${MAX_ENDPOINTS} networks`);
  }
  const asked = canonical(given, network.name, field);
  checkDriverOptions(field, asked.driverOpts);
  const ipv4 = addressFor(table, network, 4, asked.ipv4Address, `${field}.IPAMConfig.IPv4Address`);
  const ipv6 = addressFor(table, network, 6, asked.ipv6Address, `${field}.IPAMConfig.IPv6Address`);
  const isTaken = (mac: string): boolean => table.hasMac(network.id, mac);
  if (asked.macAddress !== '' && isTaken(asked.macAddress)) {
    throw conflict(`${field}.MacAddress: ${asked.macAddress} is in use in network ${network.name}`);
  }
  const numbers = { ipv4: numberOf(ipv4), ipv6: numberOf(ipv6) };
  const own = [ipv4, ipv6].flatMap((given) => given?.address ?? []);
  const virtual = virtualAddresses(table, network, container.service, own);
  return {
    networkId: network.id,
    endpointId,
    asked,
    ipv4Address: ipv4?.address ?? '',
    ipv4PrefixLength: ipv4?.prefixLength ?? 0,
    ipv4Gateway: ipv4?.gateway ?? '',
    ipv6Address: ipv6?.address ?? '',
    ipv6PrefixLength: ipv6?.prefixLength ?? 0,
    ipv6Gateway: ipv6?.gateway ?? '',
    macAddress: asked.macAddress || macFor(numbers, isTaken),
    driver: network.driver,
    interfaceName: interfaceName(field, asked.driverOpts, takenInterfaces(container.bridge, container.endpoints)),
    serviceName: container.service,
    virtualIpv4: virtual.ipv4,
    virtualIpv6: virtual.ipv6,
  };
}

/** The places of a new container in the networks its spec names. @throws as planEndpoint, and invalid-argument for networks that do not exist */
export function planEndpoints(table: NetworkTable, spec: containerV1.NetworkSpec | undefined): networkV1.Endpoint[] {
  const mode = spec?.mode ?? '';
  const bridge = defaultBridgeOf({ spec: { network: spec } })?.interfaceName;
  const service = spec?.serviceName ?? '';
  const endpoints: networkV1.Endpoint[] = [];
  for (const given of spec?.endpoints ?? []) {
    const network = table.find(given.network);
    const field = `NetworkingConfig.EndpointsConfig["${given.network}"]`;
    if (!network) throw invalidArgument(`network ${given.network} not found`);
    if (spec?.networkDisabled) throw invalidArgument(`${field}: the container has no network (NetworkDisabled)`);
    if (endpoints.some(({ networkId }) => networkId === network.id)) {
      throw invalidArgument(`${field}: network ${network.name} is named twice`);
    }
    endpoints.push(planEndpoint(table, network, { mode, bridge, service, endpoints }, given, field));
  }
  if (BUILT_IN.has(mode) || mode.startsWith('container:')) return endpoints;
  const named = table.find(mode);
  if (!named) throw invalidArgument(`network ${mode} not found`);
  if (endpoints.some(({ networkId }) => networkId === named.id)) return endpoints;
  throw invalidArgument(`the network of the mode, ${mode}, is not among the endpoints`);
}

/** @throws invalid-argument in docker's words for containers whose network is not their own */
export function checkMode(mode: string): void {
  if (mode.startsWith('container:')) {
    throw invalidArgument(
      'container sharing network namespace with another container or host cannot be connected to any other network',
    );
  }
  if (mode === 'host') {
    throw invalidArgument('container cannot be disconnected from host network or connected to host network');
  }
  if (mode === 'none') {
    throw invalidArgument(
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    );
  }
}

function addressFor(
  table: NetworkTable,
  network: networkV1.NetworkRecord,
  version: IpVersion,
  wanted: string,
  field: string,
): GivenAddress | undefined {
  const space = table.space(network.id);
  if (wanted !== '') {
    const address = parseIp(wanted);
    const offer = address ? space?.offerFixed(address) : undefined;
    if (offer === undefined || ('refusal' in offer && offer.refusal === 'outside')) {
      throw invalidArgument(`${field}: no configured subnet contains IP address ${wanted} (network ${network.name})`);
    }
    if (!('refusal' in offer)) {
      if (!table.hostAddresses.has(offer.address)) return offer;
      throw invalidArgument(`${field}: ${wanted} is the address of a host`);
    }
    if (offer.refusal === 'reserved') {
      throw invalidArgument(`${field}: ${wanted} is of network ${network.name} itself: it is ${offer.what}`);
    }
    throw conflict(`${field}: Address already in use: ${wanted} in network ${network.name}`);
  }
  if (!space?.has(version)) return undefined;
  const offer = space.offer(version, table.hostAddresses);
  if (offer) return offer;
  throw noneLeft(network, version);
}

/** What was asked for, checked; under the network's name. */
function canonical(given: networkV1.EndpointSpec, network: string, field: string): networkV1.EndpointSpec {
  const address = (name: string, text: string, version?: IpVersion): string => {
    if (text === '') return '';
    const parsed = parseIp(text);
    if (parsed && (version === undefined || parsed.version === version)) return formatIp(parsed);
    const kind = version === undefined ? 'link-local IP' : `IPv${version}`;
    throw invalidArgument(`${field}.IPAMConfig.${name}: invalid ${kind} address: ${text}`);
  };
  const names = [...given.aliases, ...given.links.map(({ alias }) => alias)];
  const wrong = names.find((name) => !NAME.test(name));
  if (wrong !== undefined) throw invalidArgument(`${field}.Aliases: ${JSON.stringify(wrong)} is no name`);
  if (names.length > MAX_NAMES) throw invalidArgument(`${field}.Aliases: at most ${MAX_NAMES} (got ${names.length})`);
  if (given.linkLocalIps.length > MAX_NAMES) {
    throw invalidArgument(`${field}.IPAMConfig.LinkLocalIPs: at most ${MAX_NAMES} (got ${given.linkLocalIps.length})`);
  }
  return {
    ...given,
    network,
    ipv4Address: address('IPv4Address', given.ipv4Address, 4),
    ipv6Address: address('IPv6Address', given.ipv6Address, 6),
    linkLocalIps: given.linkLocalIps.map((text) => address('LinkLocalIPs', text)),
    macAddress: given.macAddress === '' ? '' : canonicalMac(`${field}.MacAddress`, given.macAddress),
  };
}

function numberOf(given: GivenAddress | undefined): bigint | undefined {
  return given && parseIp(given.address)?.value;
}

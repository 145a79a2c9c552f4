import { conflict, invalidArgument, unimplemented } from '@atoll/errors';
import type { networkV1 } from '@atoll/proto';
import type { CreateRequest } from './create-request.ts';
import { type EndpointRequest, endpointLink, endpointSpec } from './endpoint-request.ts';
import { isDefault } from './lenient-object.ts';

/** Name of a network by any reference to it; the reference itself when there is no such network. */
export type NetworkNames = (reference: string) => string;

export interface AskedNetworks {
  /** `default`, `bridge`, `none`, `host`, or the network of a user that comes first. */
  readonly mode: string;
  /** Networks of users; the one of the mode comes first. */
  readonly endpoints: networkV1.EndpointSpec[];
  /** Of the default bridge's link. */
  readonly macAddress: string;
}

const ID_LENGTH = 64;
const BUILT_IN: ReadonlySet<string> = new Set(['bridge', 'host', 'none']);
const isBridge = (name: string): boolean => name === 'default' || name === 'bridge';
const field = (name: string): string => `NetworkingConfig.EndpointsConfig["${name}"]`;

/**
 * The networks a create request asks for, of a container with a network of its own. As in docker, endpoints that name only networks
 * of users stand in place of the default bridge when no mode is given.
 * @throws invalid-argument in docker's words, conflict for two MAC addresses, unimplemented
 */
export function askedNetworks(request: CreateRequest, given: string, names: NetworkNames): AskedNetworks {
  const asked = Object.entries(request.NetworkingConfig?.EndpointsConfig ?? {}).map(([name, endpoint]) => ({
    name: names(name),
    endpoint: endpoint ?? {},
  }));
  const users = asked.filter(({ name }) => name !== 'default' && !BUILT_IN.has(name));
  const builtIn = asked.filter(({ name }) => name === 'default' || BUILT_IN.has(name));
  const network = names(given);
  const inPlace = isBridge(network) && !builtIn.some(({ name }) => isBridge(name)) ? users[0]?.name : undefined;
  const mode = inPlace ?? network;
  for (const { name, endpoint } of builtIn) checkBuiltIn(mode, name, endpoint);
  const macs = builtIn.map(({ endpoint }) => endpoint.MacAddress ?? '').filter(Boolean);
  if (isBridge(mode) || BUILT_IN.has(mode)) {
    const endpoints = users.map(({ name, endpoint }) => endpointSpec(name, endpoint, field(name)));
    return { mode, endpoints, macAddress: macs[0] ?? request.MacAddress ?? '' };
  }
  const first = users.find(({ name }) => name === mode)?.endpoint ?? {};
  const rest = users.filter(({ name }) => name !== mode);
  return {
    // As given, when that says for good which network it is.
    mode: inPlace === undefined && given.length === ID_LENGTH ? given : mode,
    endpoints: [
      withContainerWide(endpointSpec(mode, first, field(mode)), request),
      ...rest.map(({ name, endpoint }) => endpointSpec(name, endpoint, field(name))),
    ],
    macAddress: '',
  };
}

function checkBuiltIn(mode: string, name: string, endpoint: EndpointRequest): void {
  if (name !== mode && !(isBridge(name) && isBridge(mode)) && name !== 'default') {
    throw invalidArgument(`conflicting options: network ${name} cannot be joined beside ${mode}`);
  }
  const { IPAMConfig, Aliases, Links, DriverOpts, GwPriority } = endpoint;
  if (!isDefault(IPAMConfig)) {
    throw invalidArgument(
      `${field(name)}.IPAMConfig: user specified IP address is supported on user defined networks only`,
    );
  }
  if (!isDefault(Aliases)) {
    throw invalidArgument(
      `${field(name)}.Aliases: network-scoped alias is supported only for containers in user defined networks`,
    );
  }
  if (!isDefault(Links)) throw unimplemented(`${field(name)}.Links is not built yet; HostConfig.Links is`);
  if (!isDefault(DriverOpts)) throw unimplemented(`${field(name)}.DriverOpts is not built yet`);
  if (!isDefault(GwPriority)) throw unimplemented(`${field(name)}.GwPriority is not built yet for the default bridge`);
}

/** What was said of the container is said of its first network. */
function withContainerWide(endpoint: networkV1.EndpointSpec, request: CreateRequest): networkV1.EndpointSpec {
  const mac = request.MacAddress ?? '';
  if (mac !== '' && endpoint.macAddress !== '' && mac !== endpoint.macAddress) {
    throw conflict(
      `invalid configuration: the container-wide MAC address (${mac}) must match the endpoint-specific MAC address (${endpoint.macAddress}) of network ${endpoint.network}`,
    );
  }
  const links = (request.HostConfig?.Links ?? []).map((link) => endpointLink(link, 'HostConfig.Links'));
  const known = new Set(endpoint.links.map(({ alias }) => alias));
  return {
    ...endpoint,
    macAddress: endpoint.macAddress || mac,
    links: [...endpoint.links, ...links.filter(({ alias }) => !known.has(alias))],
  };
}

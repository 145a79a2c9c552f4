import { parsePort } from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import type { CreateRequest } from './create-request.ts';
import { type JoinedContainers, joinMode } from './namespaces.ts';
import { askedNetworks, type NetworkNames } from './network-endpoints.ts';
import { parseBindings } from './port-bindings.ts';
import { publishModeOf } from './publish-mode.ts';
import { serviceNameOf } from './service-name.ts';

/**
 * The network part of a create request.
 * @param exposed ports of the request and of its image
 * @throws invalid-argument, unimplemented for what is not built; whether a network exists the scheduler says
 */
export function networkOf(
  request: CreateRequest,
  exposed: readonly string[],
  joined: JoinedContainers,
  names: NetworkNames,
): containerV1.NetworkSpec {
  const host = request.HostConfig;
  const asked = host?.NetworkMode === undefined || host.NetworkMode === '' ? 'default' : host.NetworkMode;
  const owner = joined.get(asked);
  const own = owner ? undefined : askedNetworks(request, asked, names);
  const mode = own?.mode ?? joinMode(asked, joined);
  const exposedPorts = exposed.map((port) => {
    const parsed = parsePort(port, 'ExposedPorts');
    return `${parsed.port}/${parsed.protocol}`;
  });
  return containerV1.NetworkSpec.fromPartial({
    mode,
    // In another's network a container has its names too.
    hostname: owner?.spec.network?.hostname ?? request.Hostname ?? '',
    domainname: owner?.spec.network?.domainname || (request.Domainname ?? ''),
    ports:
      mode === 'host' || mode === 'none' || owner
        ? []
        : parseBindings(host?.PortBindings ?? {}, 'HostConfig.PortBindings', publishModeOf(request.Labels)),
    // Ports are those of whose network it is.
    exposedPorts: owner
      ? []
      : [...new Set([...exposedPorts, ...Object.keys(host?.PortBindings ?? {}).map(withProtocol)])].sort(),
    publishAll: host?.PublishAllPorts ?? false,
    dns: [...(host?.Dns ?? [])],
    dnsSearch: [...(host?.DnsSearch ?? [])],
    dnsOptions: [...(host?.DnsOptions ?? [])],
    extraHosts: [...(host?.ExtraHosts ?? [])],
    macAddress: hardwareAddress(own?.macAddress ?? ''),
    endpoints: own?.endpoints ?? [],
    networkDisabled: request.NetworkDisabled ?? false,
    serviceName: serviceNameOf(request.Labels, request.NetworkDisabled ? 'none' : mode),
  });
}

function withProtocol(port: string): string {
  const parsed = parsePort(port, 'HostConfig.PortBindings');
  return `${parsed.port}/${parsed.protocol}`;
}

/** Six bytes of one machine, not of a group, in the one spelling Linux shows. */
function hardwareAddress(text: string): string {
  if (text === '') return '';
  const address = text.toLowerCase().replaceAll('-', ':');
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(address)) {
    throw invalidArgument(`MacAddress: address ${text}: invalid MAC address: want six bytes such as 02:42:ac:11:00:02`);
  }
  if (Number.parseInt(address.slice(0, 2), 16) % 2 === 1 || address === '00:00:00:00:00:00') {
    throw invalidArgument(`MacAddress: address ${text}: is not the address of one machine`);
  }
  return address;
}

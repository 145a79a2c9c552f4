import { parsePort } from '@atoll/docker-api';
import { invalidArgument, unimplemented } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import type { CreateRequest } from './create-request.ts';
import { type JoinedContainers, joinMode } from './namespaces.ts';
import { askedNetworks, type NetworkNames } from './network-endpoints.ts';

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
    ports: mode === 'host' || mode === 'none' || owner ? [] : portsOf(request),
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
  });
}

/** Explicit bindings; exposed ports of `-P` are added where host ports are chosen, by the scheduler. */
function portsOf(request: CreateRequest): containerV1.PortBinding[] {
  const bindings = request.HostConfig?.PortBindings ?? {};
  const ports: containerV1.PortBinding[] = [];
  for (const [text, targets] of Object.entries(bindings)) {
    const { port, protocol } = parsePort(text, 'HostConfig.PortBindings');
    if (protocol === 'sctp') throw unimplemented('HostConfig.PortBindings: publishing sctp ports is not built yet');
    for (const target of targets ?? []) {
      ports.push({
        containerPort: port,
        protocol,
        hostIp: hostIp(target.HostIp ?? ''),
        hostPort: hostPort(target.HostPort),
      });
    }
  }
  return ports;
}

function hostIp(text: string): string {
  if (text === '' || text === '0.0.0.0' || text === '::') return text === '::' ? '' : text;
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text) || text.includes(':')) return text;
  throw invalidArgument(`invalid value for HostConfig.PortBindings: invalid IP address "${text}"`);
}

function hostPort(text: string | undefined): number {
  if (text === undefined || text === '' || text === '0') return 0;
  if (/^\d+-\d+$/.test(text)) {
    throw unimplemented(`HostConfig.PortBindings: a range of host ports is not built yet (got "${text}")`);
  }
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65535) {
    throw invalidArgument(`invalid value for HostConfig.PortBindings: invalid port specification: "${text}"`);
  }
  return port;
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

import { isPublished } from '@atoll/docker-api';
import { unimplemented } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { ContainerView } from './container-view.ts';

type Binding = containerV1.PortBinding;

/**
 * A published address such as 127.0.0.1 is one of the machine clients talk to, not of the host a container lands on. The container's
 * host publishes such a port on its own address, no other host does, and the gateway listens on the one asked for. Addresses of hosts
 * are left to them. @throws unimplemented for sctp, which the gateway does not forward
 */
export function keepAddressHere(port: Binding, isOfHost: (address: string) => boolean): Binding {
  if (port.hostIp === '' || port.hostIp === '0.0.0.0' || isOfHost(port.hostIp)) return port;
  if (port.protocol === 'sctp') {
    throw unimplemented(
      `HostConfig.PortBindings: an sctp port on ${port.hostIp}, which is no host's address, is not built`,
    );
  }
  return { ...port, hostIp: '', hostOnly: true, gatewayIp: port.hostIp };
}

export function keepAddressesHere(
  spec: containerV1.ContainerSpec,
  isOfHost: (address: string) => boolean,
): containerV1.ContainerSpec {
  const { network } = spec;
  if (network === undefined || network.ports.every((port) => port.hostIp === '')) return spec;
  return { ...spec, network: { ...network, ports: network.ports.map((port) => keepAddressHere(port, isOfHost)) } };
}

/** Published ports with the addresses clients know them by; host ports as the scheduler chose them. */
export function publishedPorts({ record }: ContainerView): readonly Binding[] {
  return isPublished(record) ? record.ports.map(knownToClients) : [];
}

/** The bindings as they were asked for. */
export function requestedPorts({ spec }: ContainerView): readonly Binding[] {
  return (spec.network?.ports ?? []).map(knownToClients);
}

/** The binding as clients see it. */
export function knownToClients(port: Binding): Binding {
  return port.gatewayIp === '' ? port : { ...port, hostIp: port.gatewayIp };
}

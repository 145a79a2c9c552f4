import { networkIdOf, networkNameOf } from '@atoll/docker-api';
import { currentStatus, isRunning } from './container-state.ts';
import type { ContainerView } from './container-view.ts';
import { publishedPorts, requestedPorts } from './gateway-addresses.ts';

interface PortSummary {
  readonly IP?: string;
  readonly PrivatePort: number;
  readonly PublicPort?: number;
  readonly Type: string;
}

/** `Ports` of the list: published ports of a running container, then those only exposed. */
export function portSummaries(view: ContainerView): readonly PortSummary[] {
  const published = isRunning(view) ? publishedPorts(view) : [];
  const named = new Set(published.map((port) => `${port.containerPort}/${port.protocol}`));
  const exposed = isRunning(view) ? (view.spec.network?.exposedPorts ?? []) : [];
  return [
    ...published.map((port) => ({
      IP: port.hostIp === '' ? '0.0.0.0' : port.hostIp,
      PrivatePort: port.containerPort,
      PublicPort: port.hostPort,
      Type: port.protocol,
    })),
    ...exposed
      .filter((port) => !named.has(port))
      .map((port) => ({ PrivatePort: Number(port.split('/')[0]), Type: port.split('/')[1] ?? 'tcp' })),
  ];
}

type PortMap = Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[] | null>;

/** `NetworkSettings.Ports`: exposed ports map to null unless they are published. */
export function portMap(view: ContainerView): PortMap {
  if (!isRunning(view)) return {};
  const ports: PortMap = {};
  for (const port of view.spec.network?.exposedPorts ?? []) ports[port] = null;
  for (const { containerPort, protocol, hostIp, hostPort } of publishedPorts(view)) {
    const key = `${containerPort}/${protocol}`;
    ports[key] = [...(ports[key] ?? []), { HostIp: hostIp === '' ? '0.0.0.0' : hostIp, HostPort: String(hostPort) }];
  }
  return ports;
}

/** `HostConfig.PortBindings`: what was asked for. */
export function portBindings(view: ContainerView): PortMap {
  const bindings: PortMap = {};
  for (const { containerPort, protocol, hostIp, hostPort } of requestedPorts(view)) {
    const key = `${containerPort}/${protocol}`;
    bindings[key] = [...(bindings[key] ?? []), { HostIp: hostIp, HostPort: hostPort === 0 ? '' : String(hostPort) }];
  }
  return bindings;
}

/** Docker's name of the network a container is in. */
export function networkName(view: ContainerView): string {
  return networkNameOf(view.spec.network?.mode ?? '');
}

/** `NetworkSettings.Networks`; in another container's network it has no end of its own. */
export function networksOf(view: ContainerView): Record<string, unknown> {
  const name = networkName(view);
  return name.startsWith('container:') ? {} : { [name]: endpoint(view, networkIdOf(name)) };
}

/** The container's end of its network, as in `NetworkSettings.Networks`. */
export function endpoint(view: ContainerView, networkId: string): Record<string, unknown> {
  const status = isRunning(view) ? currentStatus(view) : undefined;
  return {
    IPAMConfig: null,
    Links: null,
    Aliases: null,
    MacAddress: status?.macAddress ?? '',
    DriverOpts: null,
    GwPriority: 0,
    NetworkID: networkId,
    EndpointID: status === undefined ? '' : view.record.id,
    Gateway: status?.gateway ?? '',
    IPAddress: status?.ipAddress ?? '',
    IPPrefixLen: status?.ipPrefixLen ?? 0,
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    DNSNames: null,
  };
}

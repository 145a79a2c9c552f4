import type { containerV1 } from '@atoll/proto';
import { isRunning } from './container-state.ts';
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
  return bindingMap(requestedPorts(view), '');
}

/** Bindings by port of the container; `anyIp` stands for all addresses. */
export function bindingMap(ports: readonly containerV1.PortBinding[], anyIp: string): PortMap {
  const bindings: PortMap = {};
  for (const { containerPort, protocol, hostIp, hostPort, hostPortEnd } of ports) {
    const key = `${containerPort}/${protocol}`;
    const range = hostPortEnd > 0 ? `${hostPort}-${hostPortEnd}` : String(hostPort);
    bindings[key] = [...(bindings[key] ?? []), { HostIp: hostIp || anyIp, HostPort: hostPort === 0 ? '' : range }];
  }
  return bindings;
}

import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { PortAllocator } from './port-allocator.ts';

/**
 * The published ports of a new container with every host port filled in. `publish_all` adds the exposed ports nobody bound.
 * Errors: invalid-argument for a malformed exposed port, resource-exhausted when no port is free.
 */
export function assignPorts(
  network: containerV1.NetworkSpec | undefined,
  allocator: PortAllocator,
  isInUse: (port: number, protocol: string) => boolean,
): containerV1.PortBinding[] {
  if (!network || network.mode === 'host' || network.mode === 'none') return [];
  const wanted = [...network.ports];
  if (network.publishAll) {
    for (const exposed of network.exposedPorts) {
      const { containerPort, protocol } = parseExposed(exposed);
      const bound = wanted.some((port) => port.containerPort === containerPort && port.protocol === protocol);
      if (!bound) wanted.push({ containerPort, protocol, hostIp: '', hostPort: 0 });
    }
  }
  const taken = new Set(wanted.map((port) => `${port.hostPort}/${port.protocol}`));
  return wanted.map((port) => {
    const protocol = port.protocol || 'tcp';
    if (port.hostPort !== 0) return { ...port, protocol };
    const hostPort = allocator.allocate((free) => taken.has(`${free}/${protocol}`) || isInUse(free, protocol));
    taken.add(`${hostPort}/${protocol}`);
    return { ...port, protocol, hostPort };
  });
}

function parseExposed(text: string): { readonly containerPort: number; readonly protocol: string } {
  const match = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(text);
  const containerPort = Number(match?.[1]);
  if (!match || containerPort < 1 || containerPort > 65_535)
    throw invalidArgument(`Invalid exposed port ${JSON.stringify(text)}`);
  return { containerPort, protocol: match[2] ?? 'tcp' };
}

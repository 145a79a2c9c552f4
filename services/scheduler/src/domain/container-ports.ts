import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { PortAllocator } from './port-allocator.ts';

type Binding = containerV1.PortBinding;
type IsInUse = (port: number, protocol: string) => boolean;

/**
 * The published ports of a new container with every host port filled in. `publish_all` adds the exposed ports nobody bound.
 * Errors: invalid-argument for a malformed exposed port, resource-exhausted when no port is free.
 */
export function assignPorts(
  network: containerV1.NetworkSpec | undefined,
  allocator: PortAllocator,
  isInUse: IsInUse,
): Binding[] {
  if (!network || !publishes(network)) return [];
  const wanted = [...network.ports];
  if (network.publishAll) {
    for (const exposed of network.exposedPorts) {
      const { containerPort, protocol } = parseExposed(exposed);
      const bound = wanted.some((port) => port.containerPort === containerPort && port.protocol === protocol);
      if (!bound) wanted.push(newBinding(containerPort, protocol));
    }
  }
  return fillPorts(wanted, [], allocator, isInUse);
}

/** Has a stack of its own with a way in. */
export function publishes({ mode, networkDisabled }: containerV1.NetworkSpec): boolean {
  return mode !== 'host' && mode !== 'none' && !mode.startsWith('container:') && !networkDisabled;
}

/**
 * Bindings with host ports chosen where none was asked for by number. Of a range without a free port the first is taken: it may be
 * free when the container starts. `held` are other bindings of the container. Errors: resource-exhausted.
 */
export function fillPorts(
  wanted: readonly Binding[],
  held: readonly Binding[],
  allocator: PortAllocator,
  isInUse: IsInUse,
): Binding[] {
  const taken = new Set([...held, ...wanted.filter((port) => !isChosen(port))].map(keyOf));
  return wanted.map((given) => {
    const port = { ...given, protocol: given.protocol || 'tcp' };
    if (!isChosen(port)) return port;
    const free = (hostPort: number): boolean =>
      !taken.has(keyOf({ ...port, hostPort })) && !isInUse(hostPort, port.protocol);
    const hostPort =
      port.hostPort === 0 ? allocator.allocate((one) => !free(one)) : (freeOf(port, free) ?? port.hostPort);
    const filled = { ...port, hostPort, hostPortEnd: 0 };
    taken.add(keyOf(filled));
    return filled;
  });
}

/** Whether the scheduler picks the host port. */
export function isChosen({ hostPort, hostPortEnd }: Binding): boolean {
  return hostPort === 0 || hostPortEnd > hostPort;
}

/** The first free port of a range; of a single one that port. */
export function freeOf(
  { hostPort, hostPortEnd }: Pick<Binding, 'hostPort' | 'hostPortEnd'>,
  isFree: (port: number) => boolean,
): number | undefined {
  for (let port = hostPort; port <= Math.max(hostPort, hostPortEnd); port++) if (isFree(port)) return port;
  return undefined;
}

/** Port and protocol, as claims are kept by. */
export function keyOf({ hostPort, protocol }: Pick<Binding, 'hostPort' | 'protocol'>): string {
  return `${hostPort}/${protocol || 'tcp'}`;
}

function newBinding(containerPort: number, protocol: string): Binding {
  return { containerPort, protocol, hostIp: '', hostPort: 0, hostPortEnd: 0, hostOnly: false, gatewayIp: '' };
}

function parseExposed(text: string): { readonly containerPort: number; readonly protocol: string } {
  const match = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(text);
  const containerPort = Number(match?.[1]);
  if (!match || containerPort < 1 || containerPort > 65_535)
    throw invalidArgument(`Invalid exposed port ${JSON.stringify(text)}`);
  return { containerPort, protocol: match[2] ?? 'tcp' };
}

import type { containerV1 } from '@atoll/proto';
import type { ContainerView } from './container-view.ts';

/** Annotation with the host address each published port was asked for on, in the order of the bindings. */
const ANNOTATION = 'atoll.host-addresses';

/**
 * A published address such as 127.0.0.1 is one of the machine clients talk to, not of the host a container lands on. Where hosts
 * are other machines the host publishes on its own address, and the gateway listens on the one asked for.
 */
export function keepAddressesHere(spec: containerV1.ContainerSpec): containerV1.ContainerSpec {
  const ports = spec.network?.ports ?? [];
  if (spec.network === undefined || ports.every((port) => port.hostIp === '')) return spec;
  return {
    ...spec,
    network: { ...spec.network, ports: ports.map((port) => ({ ...port, hostIp: '' })) },
    annotations: { ...spec.annotations, [ANNOTATION]: ports.map((port) => port.hostIp).join(',') },
  };
}

/** Published ports with the addresses clients know them by; host ports as the scheduler chose them. */
export function publishedPorts({ record, spec }: ContainerView): readonly containerV1.PortBinding[] {
  return withAddresses(record.ports, spec);
}

/** The bindings as they were asked for. */
export function requestedPorts({ spec }: ContainerView): readonly containerV1.PortBinding[] {
  return withAddresses(spec.network?.ports ?? [], spec);
}

/** Annotations of the user's. */
export function ownAnnotations(spec: containerV1.ContainerSpec): Readonly<Record<string, string>> {
  const { [ANNOTATION]: _, ...own } = spec.annotations;
  return own;
}

function withAddresses(
  ports: readonly containerV1.PortBinding[],
  spec: containerV1.ContainerSpec,
): readonly containerV1.PortBinding[] {
  const addresses = spec.annotations[ANNOTATION]?.split(',');
  if (addresses === undefined) return ports;
  return ports.map((port, at) => ({ ...port, hostIp: addresses[at] ?? '' }));
}

import { invalidArgument } from '@atoll/errors';
import { networkV1 } from '@atoll/proto';
import { z } from 'zod';
import { absentable, integer, knownFields, text, textMap, texts } from './lenient-object.ts';

/** `EndpointSettings`: what is asked for a container's place in a network. */
export const ENDPOINT = knownFields({
  IPAMConfig: absentable(knownFields({ IPv4Address: text, IPv6Address: text, LinkLocalIPs: texts })),
  Links: texts,
  MacAddress: text,
  Aliases: texts,
  DriverOpts: textMap,
  GwPriority: integer,
  // Answers of earlier calls sent back by clients; docker does not look at them either.
  NetworkID: z.unknown().optional(),
  EndpointID: z.unknown().optional(),
  Gateway: z.unknown().optional(),
  IPAddress: z.unknown().optional(),
  IPPrefixLen: z.unknown().optional(),
  IPv6Gateway: z.unknown().optional(),
  GlobalIPv6Address: z.unknown().optional(),
  GlobalIPv6PrefixLen: z.unknown().optional(),
  DNSNames: z.unknown().optional(),
});

export type EndpointRequest = z.output<typeof ENDPOINT>;

const INT32 = 2 ** 31;

/** @throws invalid-argument naming the field; addresses the scheduler checks, which knows the network */
export function endpointSpec(network: string, request: EndpointRequest, field: string): networkV1.EndpointSpec {
  const priority = request.GwPriority ?? 0;
  if (priority < -INT32 || priority >= INT32)
    throw invalidArgument(`${field}.GwPriority: want 32 bits (got ${priority})`);
  return {
    network,
    aliases: [...(request.Aliases ?? [])],
    ipv4Address: request.IPAMConfig?.IPv4Address ?? '',
    ipv6Address: request.IPAMConfig?.IPv6Address ?? '',
    linkLocalIps: [...(request.IPAMConfig?.LinkLocalIPs ?? [])],
    macAddress: request.MacAddress ?? '',
    driverOpts: { ...request.DriverOpts },
    gwPriority: priority,
    links: (request.Links ?? []).map((link) => endpointLink(link, `${field}.Links`)),
  };
}

/** `container[:alias]`; the container may come later. @throws invalid-argument in docker's words */
export function endpointLink(text: string, field: string): networkV1.EndpointLink {
  const [reference = '', alias, ...rest] = text.split(':');
  const container = reference.replace(/^\//, '');
  if (container === '' || alias === '' || rest.length > 0) {
    throw invalidArgument(`${field}: bad format for links: ${text}: want container[:alias]`);
  }
  return networkV1.EndpointLink.fromPartial({ container, alias: alias ?? container });
}

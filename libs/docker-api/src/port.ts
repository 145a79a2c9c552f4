import { invalidArgument } from '@atoll/errors';

export interface ContainerPort {
  readonly port: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
}

/** Docker's `80/tcp` (protocol defaults to tcp). @throws invalid-argument that names `field` */
export function parsePort(text: string, field: string): ContainerPort {
  const match = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/i.exec(text);
  const port = Number(match?.[1]);
  if (match === null || port < 1 || port > 65535)
    throw invalidArgument(`invalid value in ${field}: invalid port "${text}"`);
  return { port, protocol: (match[2]?.toLowerCase() ?? 'tcp') as ContainerPort['protocol'] };
}

/** `80`, `80/tcp`, `8000-8010/udp`: every port of the range. */
export function parsePortRange(text: string, field: string): readonly ContainerPort[] {
  const match = /^(\d{1,5})-(\d{1,5})(\/\w+)?$/.exec(text);
  if (match === null) return [parsePort(text, field)];
  const first = parsePort(`${match[1]}${match[3] ?? ''}`, field);
  const last = parsePort(`${match[2]}${match[3] ?? ''}`, field);
  if (last.port < first.port) throw invalidArgument(`invalid value in ${field}: invalid range "${text}"`);
  return Array.from({ length: last.port - first.port + 1 }, (_, at) => ({ ...first, port: first.port + at }));
}

export function formatPort(port: { readonly port: number; readonly protocol: string }): string {
  return `${port.port}/${port.protocol}`;
}

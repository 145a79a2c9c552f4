import { isIP } from 'node:net';
import { invalidArgument } from '@atoll/errors';

/** A published port as the Docker API writes it. */
export interface PortSpec {
  /** As `80/tcp`. */
  readonly port: string;
  readonly HostIp: string;
  /** A number, a range, or empty. */
  readonly HostPort: string;
}

const PORT = String.raw`\d{1,5}`;
const SPEC = new RegExp(
  String.raw`^(?:(?:(?<ip>\[[0-9a-fA-F:.]+\]|[^:\[\]]*):)?(?<host>${PORT}(?:-${PORT})?)?:)?(?<port>${PORT})(?:/(?<protocol>\w+))?$`,
);

/** `[[hostip:]hostport:]containerport[/proto]`, an IPv6 address in brackets, as `docker run -p`. Errors: invalid-argument. */
export function parsePortSpec(text: string): PortSpec {
  const { ip = '', host = '', port = '', protocol = 'tcp' } = SPEC.exec(text)?.groups ?? {};
  const HostIp = ip.replace(/^\[(.*)\]$/, '$1');
  if (!isPort(port) || !host.split('-').every((one) => one === '' || isPort(one)))
    throw wrong(text, 'ports are 1 to 65535');
  if (!['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) throw wrong(text, 'the protocol is tcp, udp or sctp');
  if (HostIp !== '' && isIP(HostIp) === 0) throw wrong(text, `${HostIp} is not an IP address`);
  return { port: `${Number(port)}/${protocol.toLowerCase()}`, HostIp, HostPort: host };
}

/** `PortBindings` of a request. */
export function portBindings(specs: readonly PortSpec[]): Record<string, { HostIp: string; HostPort: string }[]> {
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const { port, HostIp, HostPort } of specs) bindings[port] = [...(bindings[port] ?? []), { HostIp, HostPort }];
  return bindings;
}

/** Lines as `docker port` prints them: `80/tcp -> 0.0.0.0:8080`. */
export function portLines(ports: ReturnType<typeof portBindings>): string {
  return Object.entries(ports)
    .flatMap(([port, sides]) =>
      sides.map(({ HostIp, HostPort }) => `${port} -> ${isIP(HostIp) === 6 ? `[${HostIp}]` : HostIp}:${HostPort}\n`),
    )
    .join('');
}

function isPort(text: string): boolean {
  return /^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;
}

function wrong(text: string, why: string): Error {
  return invalidArgument(`invalid port "${text}": ${why}; give [[hostip:]hostport:]containerport[/proto]`);
}

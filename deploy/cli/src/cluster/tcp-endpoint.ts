import { invalidArgument } from '@atoll/errors';

/** Where the Docker API is served beside its socket. */
export interface TcpEndpoint {
  readonly host: string;
  readonly port: number;
  /** Only this machine reaches it: no TLS needed. */
  readonly loopback: boolean;
}

/** Errors: invalid-argument when it is not an IPv4 address and a port. */
export function parseTcpEndpoint(text: string): TcpEndpoint {
  const [, host = '', port = ''] = /^(?:tcp:\/\/)?(\d+\.\d+\.\d+\.\d+|localhost):(\d{1,5})$/.exec(text) ?? [];
  if (!host || Number(port) > 65_535) throw invalidArgument(`${text}: give IPv4 address and port, 127.0.0.1:2375`);
  return { host, port: Number(port), loopback: host === 'localhost' || host.startsWith('127.') };
}

import { createSocket } from 'node:dgram';
import { createServer, isIPv6 } from 'node:net';
import { conflict } from '@atoll/errors';
import type { Protocol, PublishedPort } from './nft-ruleset.ts';

/**
 * Throws conflict when a program of the host listens on a port that is to be published: its clients would be sent to the
 * container without a word. SCTP has no listeners in this runtime and is not probed.
 */
export async function probePort(port: PublishedPort): Promise<void> {
  const host = port.hostIp || (isIPv6(port.address) ? '::' : '0.0.0.0');
  try {
    await probeListener(port.protocol, host, port.hostPort);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why = code === 'EADDRINUSE' ? 'address already in use' : (cause as Error).message;
    throw conflict(
      `driver failed programming external connectivity: failed to bind host port ${hostOf(port)}:${port.hostPort}/${port.protocol}: ${why}`,
      { cause },
    );
  }
}

/** Rejects with what bind(2) says when a program listens there. */
export async function probeListener(protocol: Protocol, host: string, port: number): Promise<void> {
  if (protocol === 'tcp') await probeTcp(host, port);
  else if (protocol === 'udp') await probeUdp(host, port);
}

function probeTcp(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port, exclusive: true, ipv6Only: true }, () => server.close(() => resolve()));
  });
}

function probeUdp(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', ipv6Only: isIPv6(host) });
    socket.once('error', reject);
    socket.bind({ address: host, port, exclusive: true }, () => socket.close(() => resolve()));
  });
}

/** How docker's errors name the host's side of a port. */
export function hostOf({ hostIp, address }: PublishedPort): string {
  if (!isIPv6(address)) return hostIp || '0.0.0.0';
  return `[${hostIp || '::'}]`;
}

import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { PortListener, Target } from './forwarded-port.ts';

const IDLE_MS = 90_000;
/** Clients remembered at once; the one that was silent longest makes room. */
const MAX_CLIENTS = 1_024;

interface Client {
  readonly socket: Socket;
  timer: NodeJS.Timeout;
}

/** Forwards datagrams: each client gets a socket of its own, so that answers find their way back. Resolves when it listens. */
export async function listenUdp(
  address: string,
  port: number,
  target: () => Target | undefined,
): Promise<PortListener> {
  const clients = new Map<string, Client>();
  const server = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', ipv6Only: address === '::' });

  const forget = (key: string): void => {
    const client = clients.get(key);
    if (client === undefined) return;
    clients.delete(key);
    clearTimeout(client.timer);
    client.socket.close();
  };
  const clientOf = (key: string, clientPort: number, clientAddress: string, host: string): Client => {
    const known = clients.get(key);
    if (known !== undefined) {
      // Map order is the order of last use.
      clients.delete(key);
      clients.set(key, known);
      clearTimeout(known.timer);
      known.timer = idle(() => forget(key));
      return known;
    }
    const [oldest] = clients.size >= MAX_CLIENTS ? clients.keys() : [];
    if (oldest !== undefined) forget(oldest);
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    socket.on('message', (data) => server.send(data, clientPort, clientAddress));
    socket.on('error', () => forget(key));
    const client = { socket, timer: idle(() => forget(key)) };
    clients.set(key, client);
    return client;
  };

  server.on('message', (data, from) => {
    const to = target();
    if (to === undefined) return;
    clientOf(`${from.address} ${from.port}`, from.port, from.address, to.host).socket.send(data, to.port, to.host);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.bind({ address, port, exclusive: true }, resolve);
  });
  server.on('error', () => undefined);
  return {
    close: () =>
      new Promise((resolve) => {
        for (const key of [...clients.keys()]) forget(key);
        server.close(() => resolve());
      }),
  };
}

function idle(expire: () => void): NodeJS.Timeout {
  return setTimeout(expire, IDLE_MS).unref();
}

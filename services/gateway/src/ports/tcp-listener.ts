import { connect, createServer, type Server, type Socket } from 'node:net';
import type { PortListener, Target } from './forwarded-port.ts';

const CONNECT_TIMEOUT_MS = 10_000;

/** Forwards TCP connections; a half-close of one side reaches the other. Resolves when it listens. */
export async function listenTcp(
  address: string,
  port: number,
  target: () => Target | undefined,
): Promise<PortListener> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const to = target();
    if (to === undefined) {
      client.destroy();
      return;
    }
    const upstream = connect({ host: to.host, port: to.port, allowHalfOpen: true, noDelay: true });
    track(open, client, upstream);
    upstream.setTimeout(CONNECT_TIMEOUT_MS, () => upstream.destroy());
    upstream.once('connect', () => upstream.setTimeout(0));
    client.pipe(upstream);
    upstream.pipe(client);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port, exclusive: true, ipv6Only: address === '::' }, resolve);
  });
  server.on('error', () => undefined);
  return { close: () => closeServer(server, open) };
}

/** When one end breaks or is gone the other is cut, so that no half of a connection stays behind. */
function track(open: Set<Socket>, client: Socket, upstream: Socket): void {
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    open.add(one);
    one.on('error', () => other.destroy());
    one.once('close', () => {
      open.delete(one);
      if (!one.readableEnded || !one.writableFinished) other.destroy();
    });
  }
}

function closeServer(server: Server, open: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of open) socket.destroy();
  });
}

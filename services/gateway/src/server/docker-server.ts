import { createServer, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { invalidArgument } from '@atoll/errors';
import type { Router } from '../routing/router.ts';
import { BodyLimit } from './body-limit.ts';
import { guardPlainTcp, isLoopback } from './guard-plain-tcp.ts';
import { listenSocket } from './listen-socket.ts';

export interface ServerTls {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface DockerServerOptions {
  readonly router: Router;
  readonly socketPath: string;
  /** How long a request's body may stop coming; default two minutes. */
  readonly bodyIdleMs?: number;
  /** Beside the socket; without TLS on loopback only. */
  readonly tcp?: { readonly host: string; readonly port: number; readonly tls?: ServerTls };
}

const LIMITS: ServerOptions = {
  // Slow headers are cut here, slow bodies by `BodyLimit`; answers may take for ever (wait, events).
  headersTimeout: 10_000,
  requestTimeout: 0,
  connectionsCheckingInterval: 5_000,
  keepAliveTimeout: 120_000,
  maxHeaderSize: 128 * 1024,
  noDelay: true,
};
const MAX_CONNECTIONS = 10_000;
const BODY_IDLE_MS = 120_000;

/** The Docker API on a unix socket and, when wanted, on TCP. */
export class DockerServer {
  readonly #options: DockerServerOptions;
  readonly #servers: Server[] = [];
  readonly #limit: BodyLimit;

  constructor(options: DockerServerOptions) {
    this.#options = options;
    this.#limit = new BodyLimit(options.bodyIdleMs ?? BODY_IDLE_MS);
  }

  /** @returns the TCP port, when there is one */
  async start(): Promise<number | undefined> {
    const { router, socketPath, tcp } = this.#options;
    await listenSocket(this.#add(createServer(LIMITS, this.#limit.wrap(router.handle))), socketPath);
    if (tcp === undefined) return undefined;
    const { host, port, tls } = tcp;
    if (tls === undefined && !isLoopback(host)) {
      throw invalidArgument(
        `the Docker API on ${host} needs TLS: whoever reaches it is root on all hosts; set ATOLL_DOCKER_TLS_DIR or listen on 127.0.0.1`,
      );
    }
    const handle = this.#limit.wrap(router.handle);
    const server = this.#add(
      tls === undefined
        ? createServer(LIMITS, guardPlainTcp(handle))
        : createTlsServer(
            // Half open as without TLS: the end of stdin must not be the end of the output.
            {
              ...LIMITS,
              ...tls,
              allowHalfOpen: true,
              requestCert: true,
              rejectUnauthorized: true,
              minVersion: 'TLSv1.2',
            },
            handle,
          ),
    );
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    return (server.address() as AddressInfo).port;
  }

  /** Serves a connection that came another way. Its limits and its end are those of the socket's. */
  accept(socket: Duplex): void {
    const [server] = this.#servers;
    if (server === undefined) socket.destroy();
    else server.emit('connection', socket);
  }

  /** Takes no new requests, ends streams, waits up to `graceMs` for the rest. */
  async stop(graceMs = 2_000): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    this.#options.router.abortAll();
    const late = setTimeout(() => {
      for (const server of this.#servers) server.closeAllConnections();
    }, graceMs);
    for (const server of this.#servers) server.closeIdleConnections();
    await Promise.all(closed);
    clearTimeout(late);
  }

  #add(server: Server): Server {
    this.#limit.watch(server);
    server.maxConnections = MAX_CONNECTIONS;
    server.maxHeadersCount = 200;
    this.#servers.push(server);
    return server;
  }
}

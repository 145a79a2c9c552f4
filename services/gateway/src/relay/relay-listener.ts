import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { containerOfRelay } from '@atoll/docker-api';
import { asAtollError, notFound, permissionDenied } from '@atoll/errors';
import { httpStatusOf } from '@atoll/errors/http';
import { peerOfSocket, peerServerOptions, type TlsIdentity } from '@atoll/rpc';
import { sendError } from '../routing/error-reply.ts';
import type { RelayAccess } from './relay-access.ts';
import { markRelayed } from './relayed-socket.ts';

export interface RelayListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsIdentity;
  readonly access: Pick<RelayAccess, 'admit'>;
  /** Takes over an admitted connection; from here on it is a client's. */
  readonly accept: (socket: Duplex) => void;
  readonly onRefused: (container: string, node: string, error: unknown) => void;
}

const HEADERS_MS = 10_000;
const MAX_CONNECTIONS = 10_000;

/**
 * Where agents bring connections of containers to the Docker API, over mutual TLS. Each begins with `GET /relay/<container id>` and
 * `Upgrade: tcp`; after 101 it is as if the container had connected to the gateway's own socket.
 */
export class RelayListener {
  readonly #options: RelayListenerOptions;
  readonly #server: Server;

  constructor(options: RelayListenerOptions) {
    this.#options = options;
    this.#server = createServer(
      {
        ...peerServerOptions(options.tls),
        handshakeTimeout: HEADERS_MS,
        headersTimeout: HEADERS_MS,
        keepAlive: true,
        noDelay: true,
      },
      (_request, response) =>
        sendError(response, notFound('agents alone have business here, and upgrade their requests')),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: this.#options.host, port: this.#options.port }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  /** Takes no more. Those taken end with the server that has them. */
  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { access, accept, onRefused } = this.#options;
    const onError = (): unknown => socket.destroy();
    socket.on('error', onError);
    const container = containerOfRelay(request.url ?? '') ?? '';
    const peer = peerOfSocket(socket);
    try {
      if (peer?.role !== 'node') throw permissionDenied('only agents of hosts bring connections of containers');
      if (container === '') throw notFound('page not found');
      await access.admit(container, peer.id);
    } catch (error) {
      onRefused(container, peer?.id ?? '', error);
      refuse(socket, error);
      return;
    }
    if (socket.destroyed) return;
    markRelayed(socket, container);
    socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
    if (head.length > 0) socket.unshift(head);
    socket.off('error', onError);
    accept(socket);
  }
}

function refuse(socket: Duplex, error: unknown): void {
  const { reason, message } = asAtollError(error);
  const body = JSON.stringify({ message });
  socket.end(
    `HTTP/1.1 ${httpStatusOf(reason)} Refused\r\nContent-Type: application/json\r\nConnection: close\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

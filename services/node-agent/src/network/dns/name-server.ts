import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { RelayConnection } from './relay-connection.ts';
import { Responder, type ResponderOptions } from './responder.ts';
import { Services } from './services.ts';

const SOCKET = 'dns.sock';

/**
 * Where the shims of this host's containers bring what is asked at 127.0.0.11, and hear which services their containers find. They come
 * again when the agent has restarted.
 */
export class NameServer {
  /** Of the socket. */
  readonly path: string;
  /** Kept open: the path of a unix socket may be no longer than 107 bytes. */
  readonly #folder: FileHandle;
  readonly #responder: Responder;
  readonly #services: Services;
  readonly #connections = new Map<Socket, RelayConnection>();
  #server: Server | undefined;

  private constructor(path: string, folder: FileHandle, options: ResponderOptions) {
    this.path = join(path, SOCKET);
    this.#folder = folder;
    this.#responder = new Responder(options);
    this.#services = new Services(options);
  }

  /** `folder` is made with mode 0700 when it is missing. */
  static async open(folder: string, options: ResponderOptions): Promise<NameServer> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new NameServer(folder, await open(folder, 'r'), options);
  }

  async start(): Promise<void> {
    await rm(this.path, { force: true });
    const server = createServer((socket) => this.#serve(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path: `/proc/self/fd/${this.#folder.fd}/${SOCKET}` }, resolve);
    });
  }

  async stop(): Promise<void> {
    const server = this.#server;
    for (const socket of this.#connections.keys()) socket.destroy();
    if (server) await new Promise((resolve) => server.close(resolve));
    await this.#folder.close();
  }

  /** Something was told of a network. */
  networkChanged(networkId: string): void {
    for (const connection of this.#connections.values()) {
      if (this.#services.concerns(connection.containerId, networkId)) connection.refreshServices();
    }
  }

  /** A container of this host has come, or is in other networks now. */
  containerChanged(containerId: string): void {
    for (const connection of this.#connections.values()) {
      if (connection.containerId === containerId) connection.refreshServices();
    }
  }

  #serve(socket: Socket): void {
    const connection = new RelayConnection(socket, this.#responder, this.#services);
    this.#connections.set(socket, connection);
    socket.once('close', () => {
      connection.close();
      this.#connections.delete(socket);
    });
  }
}

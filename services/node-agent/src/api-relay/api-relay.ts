import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { permissionDenied } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { Gateways } from './gateways.ts';
import { RelayedConnection } from './relayed-connection.ts';

const SOCKET = 'api.sock';
/** Of all containers of the host; further ones are closed. */
const MAX_CONNECTIONS = 2_048;

export interface ApiRelayOptions {
  readonly gateways: Gateways;
  container(id: string): Pick<containerV1.ContainerRecord, 'spec'> | undefined;
}

/**
 * Where the shims of this host's containers bring connections to the Docker API, which go on to a gateway. What is connected breaks
 * when the agent ends; shims hold what connects meanwhile.
 */
export class ApiRelay {
  /** Of the socket. */
  readonly path: string;
  /** Kept open: the path of a unix socket may be no longer than 107 bytes. */
  readonly #folder: FileHandle;
  readonly #options: ApiRelayOptions;
  readonly #connections = new Set<RelayedConnection>();
  #server: Server | undefined;

  private constructor(path: string, folder: FileHandle, options: ApiRelayOptions) {
    this.path = join(path, SOCKET);
    this.#folder = folder;
    this.#options = options;
  }

  /** `folder` is made with mode 0700 when it is missing. */
  static async open(folder: string, options: ApiRelayOptions): Promise<ApiRelay> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new ApiRelay(folder, await open(folder, 'r'), options);
  }

  async start(): Promise<void> {
    await rm(this.path, { force: true });
    const server = createServer((socket) => this.#serve(socket));
    server.maxConnections = MAX_CONNECTIONS;
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path: `/proc/self/fd/${this.#folder.fd}/${SOCKET}` }, resolve);
    });
  }

  async stop(): Promise<void> {
    const server = this.#server;
    for (const connection of this.#connections) connection.close();
    if (server) await new Promise((resolve) => server.close(resolve));
    await this.#folder.close();
  }

  #serve(socket: Socket): void {
    const { gateways, container } = this.#options;
    const connection = new RelayedConnection(socket, async (id, signal) => {
      const mounts = container(id)?.spec?.mounts ?? [];
      if (!mounts.some(({ apiSocket }) => apiSocket)) {
        throw permissionDenied('this container was not made with a mount of the Docker socket');
      }
      return await gateways.connect(id, signal);
    });
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }
}

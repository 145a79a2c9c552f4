import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { RelayConnection } from './relay-connection.ts';
import { Responder, type ResponderOptions } from './responder.ts';

const SOCKET = 'dns.sock';

/** Where the shims of this host's containers bring what is asked at 127.0.0.11. They come again when the agent has restarted. */
export class NameServer {
  /** Of the socket. */
  readonly path: string;
  /** Kept open: the path of a unix socket may be no longer than 107 bytes. */
  readonly #folder: FileHandle;
  readonly #responder: Responder;
  readonly #connections = new Set<Socket>();
  #server: Server | undefined;

  private constructor(path: string, folder: FileHandle, responder: Responder) {
    this.path = join(path, SOCKET);
    this.#folder = folder;
    this.#responder = responder;
  }

  /** `folder` is made with mode 0700 when it is missing. */
  static async open(folder: string, options: ResponderOptions): Promise<NameServer> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new NameServer(folder, await open(folder, 'r'), new Responder(options));
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
    for (const connection of this.#connections) connection.destroy();
    if (server) await new Promise((resolve) => server.close(resolve));
    await this.#folder.close();
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket);
    const connection = new RelayConnection(socket, this.#responder);
    socket.once('close', () => {
      connection.close();
      this.#connections.delete(socket);
    });
  }
}

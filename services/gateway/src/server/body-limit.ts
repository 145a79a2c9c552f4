import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Gives up connections whose request body stops coming. Silence counts only while we wait for the client: one whose bytes lie
 * unread, because a build waits for its turn, is kept. Hijacked connections clear the limit.
 */
export class BodyLimit {
  readonly #idleMs: number;
  readonly #pending = new WeakMap<Socket, { readonly request: IncomingMessage; hadUnread: boolean }>();

  constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  /** Once for each server. */
  watch(server: Server): void {
    server.on('timeout', (socket: Socket) => {
      const pending = this.#pending.get(socket);
      const isUnread = pending !== undefined && (pending.request.complete || pending.request.readableLength > 0);
      // Read just now, the client has had no time to go on: the silence begins here.
      if (pending === undefined || (!isUnread && !pending.hadUnread)) return socket.destroy();
      pending.hadUnread = isUnread;
      socket.setTimeout(this.#idleMs);
    });
  }

  wrap(handle: RequestListener): RequestListener {
    return (request, response) => {
      const { socket } = request;
      const length = request.headers['content-length'];
      if (request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')) {
        this.#pending.set(socket, { request, hadUnread: false });
        socket.setTimeout(this.#idleMs);
        request.once('end', () => {
          this.#pending.delete(socket);
          socket.setTimeout(0);
        });
      }
      handle(request, response);
    };
  }
}

import type { Socket } from 'node:net';
import type { RequestContext } from '../routing/request-context.ts';

/**
 * Takes the connection of a request away from node:http; nothing has been answered on it.
 *
 * The server has no `upgrade` listener, so requests with and without `Upgrade: tcp` reach the ordinary handler with their body
 * parsed, on every supported Node version. The HTTP parser still listens to the socket; its listeners are dropped here, which is
 * an internal detail of Node and therefore lives in this one file (the tests run it on the pinned version).
 *
 * Call it when the body has been read and the backend is ready: after it errors can no longer be answered.
 */
export function takeSocket({ request, response }: RequestContext): Socket {
  const socket = request.socket;
  response.detachSocket(socket);
  for (const event of ['data', 'end', 'close', 'drain', 'error', 'timeout', 'readable'])
    socket.removeAllListeners(event);
  socket.setTimeout(0);
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  return socket;
}

/** Takes the connection and says so to the client: from here on it carries raw bytes both ways. */
export function hijack(context: RequestContext, contentType: string): Socket {
  const socket = takeSocket(context);
  const { upgrade } = context.request.headers;
  socket.write(
    upgrade === undefined
      ? `HTTP/1.1 200 OK\r\nContent-Type: ${contentType}\r\n\r\n`
      : `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${contentType}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`,
  );
  return socket;
}

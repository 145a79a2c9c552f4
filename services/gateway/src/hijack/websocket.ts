import type { IncomingMessage } from 'node:http';
import { invalidArgument, permissionDenied } from '@atoll/errors';
import { WebSocketServer } from 'ws';
import type { RequestContext } from '../routing/request-context.ts';
import { takeSocket } from './upgrade.ts';
import { WebSocketStream } from './websocket-stream.ts';

/** A message is held whole until it is passed on. */
const MAX_MESSAGE = 4 * 1024 * 1024;

const server = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE, perMessageDeflate: false });

/**
 * Checks that a request is a WebSocket handshake (RFC 6455, 4.2.1), while it can still be answered. A web page elsewhere must not
 * use the certificate of its reader: over TCP the origin has to be the host that is asked.
 * @throws invalid-argument, permission-denied
 */
export function requireWebSocket({ method, headers, socket }: IncomingMessage): void {
  const key = headers['sec-websocket-key'] ?? '';
  const upgrades = headers.upgrade?.toLowerCase() === 'websocket' && method === 'GET';
  if (!upgrades || !/^[+/0-9A-Za-z]{22}==$/.test(key) || headers['sec-websocket-version'] !== '13') {
    throw invalidArgument(
      'not a WebSocket handshake: want "Upgrade: websocket", "Sec-WebSocket-Version: 13" and a key of 16 bytes',
    );
  }
  const { origin, host } = headers;
  if (origin === undefined || socket.remoteAddress === undefined) return;
  if (!URL.canParse(origin) || new URL(origin).host !== host) {
    throw permissionDenied(`the origin ${origin} may not attach here: it is not the host ${host ?? ''} itself`);
  }
}

/** Takes the connection of a handshake that was checked. Messages out are binary, or text as before API 1.28. */
export function acceptWebSocket(context: RequestContext, binary: boolean): Promise<WebSocketStream> {
  const socket = takeSocket(context);
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(new DOMException('the client went away', 'AbortError'));
    if (socket.destroyed) return gone();
    socket.once('close', gone);
    server.handleUpgrade(context.request, socket, Buffer.alloc(0), (webSocket) => {
      socket.off('close', gone);
      resolve(new WebSocketStream(webSocket, binary));
    });
  });
}

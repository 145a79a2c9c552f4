import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** One request and its answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
}

/** Answers without a body, or with JSON text; HEAD gets the headers only. */
export function answer(
  { response, method }: Pick<Exchange, 'response' | 'method'>,
  status: number,
  headers: OutgoingHttpHeaders = {},
  body: Uint8Array | string = '',
): void {
  const length = status === 204 ? {} : { 'Content-Length': Buffer.byteLength(body) };
  response.writeHead(status, { ...length, ...headers });
  if (method === 'HEAD' || status === 204 || status === 304) response.end();
  else response.end(body);
}

export function answerJson(exchange: Exchange, value: unknown, headers: OutgoingHttpHeaders = {}): void {
  answer(exchange, 200, { 'Content-Type': 'application/json', ...headers }, JSON.stringify(value));
}

/** Sends a piece of a body; resolves when the kernel has it, rejects when the client is gone. */
export function send({ request, response }: Exchange, piece: Uint8Array): Promise<void> {
  const { socket } = request;
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(new Error('the client went away'));
    if (socket.destroyed) return gone();
    socket.once('close', gone);
    response.write(piece, (error) => {
      socket.off('close', gone);
      if (error) reject(error);
      else resolve();
    });
  });
}

import type { ServerResponse } from 'node:http';

/** A whole JSON answer in one write. */
export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  sendJsonBody(response, status, Buffer.from(`${JSON.stringify(value)}\n`));
}

/** An answer that is JSON already, with its line end. */
export function sendJsonBody(response: ServerResponse, status: number, body: Buffer): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': body.length });
  response.end(body);
}

export function sendEmpty(response: ServerResponse, status: number): void {
  response.writeHead(status);
  response.end();
}

/** Waits for room in the response. Rejects when the client is gone, for then `drain` never comes. */
export async function writeChunk(
  response: ServerResponse,
  chunk: string | Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  if (response.write(chunk)) return;
  await new Promise<void>((resolve, reject) => {
    const settle = (): void => {
      response.off('drain', settle);
      signal.removeEventListener('abort', settle);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    response.on('drain', settle);
    signal.addEventListener('abort', settle);
    if (signal.aborted) settle();
  });
}

import type { ServerResponse } from 'node:http';
import { asAtollError } from '@atoll/errors';
import { httpStatusOf } from '@atoll/errors/http';
import { sendJson } from './reply.ts';

/** The one place where an error becomes HTTP: its class decides the status, its text is the message. */
export function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    // Too late for a status: a cut connection is the only honest end of a half-sent answer.
    response.destroy();
    return;
  }
  const known = asAtollError(error);
  const status = known.details['http'] === '413' ? 413 : httpStatusOf(known.reason);
  // The rest of a body that is too large is not read: the connection carries no further request.
  if (status === 413) response.shouldKeepAlive = false;
  for (const name of ['Content-Type', 'Content-Encoding', 'Transfer-Encoding']) response.removeHeader(name);
  sendJson(response, status, { message: known.message });
}

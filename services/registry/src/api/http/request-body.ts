import type { IncomingMessage } from 'node:http';
import { invalidArgument } from '@atoll/errors';
import { OciError } from './oci-error.ts';

const CHECK_MS = 30_000;
/** A sender of a body has to manage this much between two checks. */
const LEAST_BYTES = 16 * 1024;

/** A request's body. Errors: invalid-argument when the client went away or drips so slowly that it must be an attack. */
export async function* bodyOf(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  let checked = 0;
  const timer = setInterval(() => {
    if (bytes - checked < LEAST_BYTES) request.destroy(new Error('the body comes too slowly'));
    checked = bytes;
  }, CHECK_MS);
  try {
    for await (const chunk of request) {
      bytes += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
    if (!request.complete) throw new Error('it ended early');
  } catch (error) {
    throw invalidArgument(`the body was not received: ${(error as Error).message}`, {
      cause: error,
      details: { oci: 'BLOB_UPLOAD_INVALID' },
    });
  } finally {
    clearInterval(timer);
  }
}

/** A small body at once. Errors: SIZE_INVALID (413). */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const tooLarge = () => new OciError('SIZE_INVALID', `at most ${maxBytes} bytes are accepted here`);
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyOf(request)) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

import type { IncomingMessage } from 'node:http';
import { parseStrictJson } from '@atoll/docker-api';
import { cancelled, deadlineExceeded, invalidArgument, resourceExhausted } from '@atoll/errors';
import type { z } from 'zod';
import type { RequestContext } from './request-context.ts';
import { errorOfIssues } from './zod-issues.ts';

const LIMIT = 4 * 1024 * 1024;
const TIMEOUT_MS = 30_000;

/**
 * The JSON body of a request, checked. At most 4 MiB (else 413), complete within 30 s.
 * @throws invalid-argument naming the field
 */
export async function readJson<S extends z.ZodType>(
  context: RequestContext,
  schema: S,
  options: { readonly optional?: boolean } = {},
): Promise<z.output<S>> {
  const text = await readText(context.request);
  if (text.trim() === '') {
    if (options.optional !== true) throw invalidArgument('invalid JSON: got EOF while reading request body');
    return check(schema, {});
  }
  requireJsonType(context.request);
  const value = parseStrictJson(text);
  return check(schema, value === null && options.optional === true ? {} : value);
}

function check<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (!result.success) throw errorOfIssues(result.error, value);
  return result.data;
}

function requireJsonType(request: IncomingMessage): void {
  const type = request.headers['content-type'];
  if (type === undefined || /^application\/json\s*(;|$)/i.test(type)) return;
  throw invalidArgument(`unsupported Content-Type header (${type}): must be 'application/json'`);
}

/** The body as text, refused as soon as it is too long: by its declared length, else while it comes. */
export async function readText(request: IncomingMessage): Promise<string> {
  if (Number(request.headers['content-length'] ?? 0) > LIMIT) throw tooLarge();
  return await collect(request);
}

/** Listens rather than iterates: an iterator costs more than the bodies of most requests. */
function collect(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const settle = (error?: Error): void => {
      clearTimeout(late);
      request.off('data', onData).off('end', onEnd).off('error', settle).off('close', onClose);
      if (error === undefined) resolve(Buffer.concat(chunks, length).toString('utf8'));
      else reject(error);
    };
    const refuse = (error: Error): void => {
      settle(error);
      request.pause();
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > LIMIT) refuse(tooLarge());
      else chunks.push(chunk);
    };
    const onEnd = (): void => settle();
    const onClose = (): void => settle(cancelled('the client went away before the request body was complete'));
    const late = setTimeout(() => {
      const error = deadlineExceeded('the request body did not come in time');
      settle(error);
      request.destroy(error);
    }, TIMEOUT_MS);
    request.on('data', onData).on('end', onEnd).on('error', settle).on('close', onClose);
  });
}

function tooLarge(): Error {
  return resourceExhausted(`request body is larger than ${LIMIT} bytes`, { details: { http: '413' } });
}

import type { IncomingMessage } from 'node:http';
import { parseStrictJson } from '@atoll/docker-api';
import { deadlineExceeded, invalidArgument, resourceExhausted } from '@atoll/errors';
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
  const chunks: Buffer[] = [];
  let length = 0;
  const late = setTimeout(() => request.destroy(deadlineExceeded('the request body did not come in time')), TIMEOUT_MS);
  try {
    for await (const chunk of request) {
      length += (chunk as Buffer).length;
      if (length > LIMIT) throw tooLarge();
      chunks.push(chunk as Buffer);
    }
  } finally {
    clearTimeout(late);
  }
  return Buffer.concat(chunks, length).toString('utf8');
}

function tooLarge(): Error {
  return resourceExhausted(`request body is larger than ${LIMIT} bytes`, { details: { http: '413' } });
}

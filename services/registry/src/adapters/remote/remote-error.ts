import {
  type AtollError,
  internal,
  invalidArgument,
  notFound,
  permissionDenied,
  resourceExhausted,
  unauthenticated,
  unavailable,
} from '@atoll/errors';
import { z } from 'zod';
import { readBody } from './http-client.ts';

const errorSchema = z.object({
  errors: z.array(z.object({ code: z.string(), message: z.string().optional() })).min(1),
});
const BODY_BYTES = 64 * 1024;

/** What a registry's refusal means, `code: message` as docker shows it. `about` names what a bare 404 is about. */
export async function remoteError(
  response: Response,
  about: 'MANIFEST_UNKNOWN' | 'BLOB_UNKNOWN' | 'NAME_UNKNOWN',
): Promise<AtollError> {
  const { status } = response;
  const said = await refusalOf(response);
  const code =
    said?.code ?? (status === 404 ? about : status === 401 ? 'UNAUTHORIZED' : status === 403 ? 'DENIED' : '');
  const words = code === '' ? `HTTP ${status}` : code.toLowerCase().replaceAll('_', ' ');
  const host = new URL(response.url).host;
  const text = `${words}: ${(said?.message || (code === '' ? `from ${host}` : words)).slice(0, 500)}`;
  const options = { details: { oci: code } };
  if (status === 404) return notFound(text, options);
  if (status === 401) return unauthenticated(text, options);
  if (status === 403) return permissionDenied(text, options);
  if (status === 429) return resourceExhausted(text, options);
  if (status >= 500) return unavailable(text, options);
  return status >= 400 ? invalidArgument(text, options) : internal(text, options);
}

async function refusalOf(response: Response): Promise<{ code: string; message?: string | undefined } | undefined> {
  try {
    const bytes = await readBody(response, BODY_BYTES);
    return errorSchema.parse(JSON.parse(Buffer.from(bytes).toString())).errors[0];
  } catch {
    return undefined;
  }
}

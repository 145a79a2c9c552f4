import { AtollError, deadlineExceeded, invalidArgument, resourceExhausted, unavailable } from '@atoll/errors';

export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
}

const HEADERS_MS = 60_000;
const IDLE_MS = 60_000;
const MAX_REDIRECTS = 5;

/**
 * One request. Redirects of reads are followed; Authorization never leaves for another origin and https never turns into
 * http. Errors: unavailable, deadline-exceeded, invalid-argument (redirects in a circle), the signal's reason.
 */
export async function send(request: HttpRequest, signal: AbortSignal): Promise<Response> {
  let { url, headers } = request;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
    const response = await once({ ...request, url, headers }, signal);
    const location = response.headers.get('location');
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (!isRead || location === null || ![301, 302, 303, 307, 308].includes(response.status)) return response;
    await response.body?.cancel();
    const next = new URL(location, url);
    if (next.protocol !== 'https:' && new URL(url).protocol === 'https:') {
      throw invalidArgument(`${new URL(url).host} redirects from https to ${next.protocol}, which is refused`);
    }
    if (next.origin !== new URL(url).origin) headers = withoutAuthorization(headers);
    url = next.href;
  }
  throw invalidArgument(`${new URL(request.url).host} redirects more than ${MAX_REDIRECTS} times`);
}

async function once(request: HttpRequest, signal: AbortSignal): Promise<Response> {
  const late = new AbortController();
  const streaming = request.body !== undefined && !(request.body instanceof Uint8Array);
  const timer = streaming ? undefined : setTimeout(() => late.abort(tooLate(request.url)), HEADERS_MS);
  try {
    return await fetch(request.url, {
      method: request.method,
      headers: { 'User-Agent': 'atoll', ...request.headers },
      redirect: 'manual',
      signal: AbortSignal.any([signal, late.signal]),
      ...(request.body === undefined ? {} : { body: request.body as never, duplex: 'half' }),
    });
  } catch (error) {
    signal.throwIfAborted();
    if (late.signal.aborted) throw late.signal.reason;
    throw connectionError(request.url, error);
  } finally {
    clearTimeout(timer);
  }
}

/** The body; a sender that stops for a minute has failed. */
export async function* bodyOf(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const idle = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(tooLate(response.url)), IDLE_MS);
      });
      const next = await Promise.race([reader.read(), idle]).finally(() => clearTimeout(timer));
      if (next.done) return;
      yield next.value;
    }
  } catch (error) {
    if (error instanceof AtollError || (error as Error).name === 'AbortError') throw error;
    throw connectionError(response.url, error);
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** A small body at once. Errors: resource-exhausted. */
export async function readBody(response: Response, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyOf(response)) {
    size += chunk.byteLength;
    if (size > maxBytes)
      throw resourceExhausted(`${new URL(response.url).host} answered with more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function withoutAuthorization(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'));
}

function tooLate(url: string): AtollError {
  return deadlineExceeded(`${new URL(url).host} did not answer within ${HEADERS_MS / 1000} s`);
}

function connectionError(url: string, error: unknown): AtollError {
  const cause = (error as { cause?: { message?: string; code?: string } }).cause;
  const why = cause?.message || cause?.code || (error as Error).message;
  return unavailable(`cannot reach ${new URL(url).host}: ${why}`, { cause: error });
}

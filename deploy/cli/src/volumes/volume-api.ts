import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type AtollError,
  conflict,
  failedPrecondition,
  internal,
  notFound,
  outOfRange,
  unavailable,
} from '@atoll/errors';

export interface VolumeCall {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is. */
  readonly body?: Readable;
  readonly signal: AbortSignal;
}

/** A line of a clone's or a move's answer. */
export interface CopyProgress {
  readonly status?: string;
  /** Volume it is about. */
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number };
  readonly error?: string;
}

/** The cluster's socket, with the endpoints that Docker's API has not. */
export class VolumeApi {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /**
   * The answer's body. Errors: not-found, conflict, out-of-range and failed-precondition with the cluster's message, unavailable when
   * nobody answers.
   */
  async call({ method, path, query = {}, json, body, signal }: VolumeCall): Promise<IncomingMessage> {
    const text = json === undefined ? undefined : Buffer.from(JSON.stringify(json));
    const headers = {
      ...(text && { 'content-type': 'application/json', 'content-length': text.length }),
      ...(body && { 'content-type': 'application/x-tar' }),
    };
    const target = `${path}?${new URLSearchParams(query)}`;
    const call = request({ socketPath: this.#socket, path: target, method, headers, signal });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      call.on('response', resolve);
      call.on('error', (cause) => reject(unavailable(`the cluster does not answer: ${cause.message}`, { cause })));
    });
    answered.catch(() => undefined);
    // An answer may come before the body is through: then it says why.
    const sent = body ? pipeline(body, call, { signal }) : undefined;
    sent?.catch(() => undefined);
    if (!body) call.end(text);
    const response = await answered;
    if ((response.statusCode ?? 500) < 300) return response;
    throw refusalOf(response.statusCode ?? 500, await readAll(response));
  }

  /** Errors: as `call`; unavailable when the answer is cut. */
  async json<T>(call: VolumeCall): Promise<T> {
    const response = await this.call(call);
    const text = await readAll(response).catch((cause: unknown) => {
      throw unavailable(`the cluster's answer was cut: ${(cause as Error).message}`, { cause });
    });
    return JSON.parse(text) as T;
  }

  /** Follows a clone or a move to its end. Errors: as `call`, and what ended it. */
  async follow(call: VolumeCall, show: (progress: CopyProgress) => void): Promise<void> {
    const lines = createInterface({ input: await this.call(call), crlfDelay: Number.POSITIVE_INFINITY });
    let last: CopyProgress = {};
    for await (const line of lines) {
      if (line.trim() === '') continue;
      last = JSON.parse(line) as CopyProgress;
      if (last.error !== undefined) throw failedPrecondition(last.error);
      show(last);
    }
    call.signal.throwIfAborted();
    if (last.status !== 'done') {
      throw unavailable(
        'the answer ended early: what was begun is brought to its end by the cluster, look at the volume then',
      );
    }
  }
}

async function readAll(source: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function refusalOf(status: number, text: string): AtollError {
  let message = text.trim();
  try {
    message = (JSON.parse(text) as { message?: string }).message ?? message;
  } catch {
    // Not JSON: shown as it is.
  }
  if (status === 404) return notFound(message);
  if (status === 409) return conflict(message);
  if (status === 416) return outOfRange(message);
  if (status === 503) return unavailable(message);
  return status < 500 ? failedPrecondition(message) : internal(message);
}

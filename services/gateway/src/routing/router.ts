import type { IncomingMessage, ServerResponse } from 'node:http';
import { invalidArgument, notFound, unavailable } from '@atoll/errors';
import { isTracing, traceStep } from '@atoll/logging';
import { sendError } from './error-reply.ts';
import type { RouteTable } from './route-table.ts';
import { splitVersion } from './version-prefix.ts';

export interface RouterOptions {
  readonly table: RouteTable;
  /** Sent with every answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** Told of each error before it is answered. */
  readonly onError: (request: IncomingMessage, error: unknown) => void;
}

/** From a request of node:http to a handler, and from what it throws to an answer. */
export class Router {
  readonly #options: RouterOptions;
  readonly #headers: readonly (readonly [string, string])[];
  readonly #running = new Set<AbortController>();

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#headers = Object.entries(options.headers);
  }

  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    const gone = new AbortController();
    this.#running.add(gone);
    if (isTracing) trace(request, response);
    for (const [name, value] of this.#headers) response.setHeader(name, value);
    // A hijacked socket is no longer the response's: its session watches it.
    response.once('close', () => {
      if (!response.writableFinished) gone.abort(new DOMException('the client went away', 'AbortError'));
    });
    this.#dispatch(request, response, gone.signal)
      .catch((error: unknown) => {
        if (!gone.signal.aborted) this.#options.onError(request, error);
        sendError(response, error);
      })
      .finally(() => this.#running.delete(gone));
  };

  /** Ends what still runs: streams without an end would hold a stop forever. */
  abortAll(): void {
    for (const running of this.#running) running.abort(unavailable('the gateway is shutting down; try again'));
  }

  async #dispatch(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const url = request.url ?? '/';
    const mark = url.indexOf('?');
    const { version, path } = splitVersion(mark < 0 ? url : url.slice(0, mark));
    const match = this.#match(request.method ?? 'GET', path);
    if (match === undefined) throw notFound('page not found');
    const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
    await match.handler({ request, response, version, params: match.params, query, signal });
  }

  #match(method: string, path: string): ReturnType<RouteTable['match']> {
    try {
      return this.#options.table.match(method, path);
    } catch (cause) {
      throw invalidArgument('the path has malformed percent-encoding', { cause });
    }
  }
}

function trace({ method = '', url = '' }: IncomingMessage, response: ServerResponse): void {
  const path = splitVersion(url.replace(/\?.*$/, '')).path.replace(/[0-9a-f]{64}/, '{id}');
  traceStep(`${method} ${path} received`);
  response.once('finish', () => traceStep(`${method} ${path} answered`));
}

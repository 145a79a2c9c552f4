import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { BlobRoutes } from './blob-routes.ts';
import { answer, type Exchange } from './exchange.ts';
import type { ManifestRoutes } from './manifest-routes.ts';
import { type OciCode, OciError, toFailure } from './oci-error.ts';
import { type Route, routeOf } from './route.ts';
import type { UploadRoutes } from './upload-routes.ts';

export interface DistributionServerOptions {
  /** `host:port`; port 0 picks a free one. */
  readonly listen: string;
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined;
  readonly blobs: BlobRoutes;
  readonly uploads: UploadRoutes;
  readonly manifests: ManifestRoutes;
  /** Told of failures that are ours. */
  readonly onInternalError: (path: string, error: unknown) => void;
}

const LIMITS = {
  headersTimeout: 10_000,
  connectionsCheckingInterval: 5_000,
  keepAliveTimeout: 60_000,
  /** A body may take long; request-body.ts sees to it that it moves. */
  requestTimeout: 0,
  maxHeaderSize: 16 * 1024,
} as const;
/** No byte in either direction for so long ends a connection, milliseconds. */
const IDLE_MS = 60_000;
const MAX_CONNECTIONS = 4_096;
const MAX_URL = 4_096;
const CODES: Partial<Record<Route['kind'], OciCode>> = { manifest: 'MANIFEST_INVALID', upload: 'BLOB_UPLOAD_INVALID' };

/** Serves the OCI distribution API on bare node:http. */
export class DistributionServer {
  readonly #options: DistributionServerOptions;
  readonly #server: Server;

  constructor(options: DistributionServerOptions) {
    this.#options = options;
    const handler = (request: IncomingMessage, response: ServerResponse) => void this.#serve(request, response);
    this.#server =
      options.tls === undefined
        ? createServer(LIMITS, handler)
        : createTlsServer({ ...LIMITS, ...options.tls }, handler);
    this.#server.setTimeout(IDLE_MS);
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** Answers the port. Errors: of the socket (address in use, not ours to listen on). */
  async start(): Promise<number> {
    const at = this.#options.listen.lastIndexOf(':');
    const host = this.#options.listen.slice(0, at).replace(/^\[|\]$/g, '');
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(Number(this.#options.listen.slice(at + 1)), host, resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** Lets requests finish for `graceMs`. */
  async stop(graceMs = 2_000): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), graceMs);
    await closed;
    clearTimeout(timer);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? 'GET';
    const url = request.url ?? '/';
    const mark = url.indexOf('?');
    const path = mark < 0 ? url : url.slice(0, mark);
    const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
    const exchange: Exchange = { request, response, method, path, query };
    response.setHeader('Docker-Distribution-Api-Version', 'registry/2.0');
    const route = url.length > MAX_URL ? undefined : routeOf(path);
    try {
      await this.#dispatch(exchange, route);
    } catch (error) {
      this.#fail(exchange, route, error);
    }
  }

  async #dispatch(exchange: Exchange, route: Route | undefined): Promise<void> {
    const { blobs, uploads, manifests } = this.#options;
    switch (route?.kind) {
      case 'base':
        return answer(exchange, 200, { 'Content-Type': 'application/json' }, '{}');
      case 'catalog':
        return manifests.catalog(exchange);
      case 'blob':
        return await blobs.handle(exchange, route.name, route.reference);
      case 'uploads':
        return await uploads.begin(exchange, route.name);
      case 'upload':
        return await uploads.handle(exchange, route.name, route.reference);
      case 'manifest':
        return await manifests.manifest(exchange, route.name, route.reference);
      case 'tags':
        return manifests.tags(exchange, route.name);
      case 'referrers':
        return manifests.referrers(exchange, route.name, route.reference);
      default:
        throw new OciError('NAME_UNKNOWN', 'this is not a path of the distribution API');
    }
  }

  #fail(exchange: Exchange, route: Route | undefined, error: unknown): void {
    const { request, response } = exchange;
    const { status, headers, body } = toFailure(error, (route && CODES[route.kind]) ?? 'UNKNOWN');
    if (status >= 500 && !request.socket.destroyed) this.#options.onInternalError(exchange.path, error);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    // What is left of a refused body is not worth reading.
    const close: Record<string, string> = request.complete ? {} : { Connection: 'close' };
    answer(exchange, status, { ...headers, ...close }, body);
    if (!request.complete) response.once('finish', () => request.destroy());
  }
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ApiVersion } from '@atoll/docker-api';

/** One request of a client, as handlers see it. */
export interface RequestContext {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The version of the path's prefix, the newest when there is none. */
  readonly version: ApiVersion;
  /** Variables of the path, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Aborted when the client went away or the server stops. */
  readonly signal: AbortSignal;
}

/** Answers one request. What it throws becomes docker's `{"message"}`. */
export type Handler = (context: RequestContext) => Promise<void>;

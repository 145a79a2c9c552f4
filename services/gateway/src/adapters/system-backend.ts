import { createHash } from 'node:crypto';
import type { AuthConfig } from '@atoll/docker-api';
import { unimplemented } from '@atoll/errors';
import type { eventV1 } from '@atoll/proto';
import type { AuthVerdict, EventQuery, StoreUsage } from '../resources/system/backend.ts';
import type { StoreBackend } from './image-backend.ts';
import { checkRegistryLogin } from './registry-login.ts';

/** The cluster's event stream. */
export interface EventSource {
  subscribe(query: {
    readonly sinceNs?: bigint;
    readonly untilNs?: bigint;
    readonly signal: AbortSignal;
  }): AsyncIterable<eventV1.Event>;
}

export class ClusterSystem {
  readonly #store: StoreBackend;
  readonly #events: EventSource;
  readonly #clusterId: string;

  /** @param ca certificate of the cluster's CA: what makes a cluster this one */
  constructor(store: StoreBackend, events: EventSource, ca: Buffer) {
    this.#store = store;
    this.#events = events;
    const hash = createHash('sha256').update(ca).digest('hex');
    this.#clusterId = hash.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }

  clusterId(): string {
    return this.#clusterId;
  }

  storeUsage(signal: AbortSignal): Promise<StoreUsage> {
    return this.#store.usage(signal);
  }

  events({ sinceNs, untilNs, signal }: EventQuery): AsyncIterable<eventV1.Event> {
    return this.#events.subscribe({
      signal,
      ...(sinceNs === undefined ? {} : { sinceNs }),
      ...(untilNs === undefined ? {} : { untilNs }),
    });
  }

  async checkAuth(auth: AuthConfig, signal: AbortSignal): Promise<AuthVerdict> {
    if (auth.username === '') throw unimplemented('POST /auth: checking an identity token is not built yet');
    return await checkRegistryLogin(auth, signal);
  }
}

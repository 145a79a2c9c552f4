import type { OperationId } from '@atoll/docker-api';
import type { Handler } from './request-context.ts';

/** The operations a resource has built: each makes its handler from the resource's backend. */
export type RouteFactories<B> = Readonly<Partial<Record<OperationId, (backend: B) => Handler>>>;

export type RouteHandlers = Readonly<Partial<Record<OperationId, Handler>>>;

export function bindRoutes<B>(factories: RouteFactories<B>, backend: B): RouteHandlers {
  return Object.fromEntries(Object.entries(factories).map(([operation, make]) => [operation, make(backend)]));
}

import { type HttpMethod, OPERATION_IDS, OPERATIONS, type OperationId } from '@atoll/docker-api';
import { unimplemented } from '@atoll/errors';
import type { Handler } from './request-context.ts';
import type { RouteHandlers } from './route-factories.ts';

interface Route {
  readonly segments: readonly string[];
  /** Matches the whole path when a variable of it may contain slashes. */
  readonly pattern: RegExp | undefined;
  readonly handler: Handler;
}

export interface RouteMatch {
  readonly handler: Handler;
  readonly params: Readonly<Record<string, string>>;
}

/** Paths outside the published description. */
export interface ExtraRoute {
  readonly method: HttpMethod;
  readonly path: string;
  readonly handler: Handler;
}

/** Where a request goes: every operation of the Engine API is here; those without a handler answer 501 with their name. */
export class RouteTable {
  /** By method and first segment: a lookup tries a handful of routes, not all. */
  readonly #routes = new Map<string, Route[]>();

  constructor(handlers: RouteHandlers, extras: readonly ExtraRoute[] = []) {
    for (const operation of OPERATION_IDS) {
      const { method, path } = OPERATIONS[operation];
      this.#add(method, path, handlers[operation] ?? missing(operation));
    }
    for (const extra of extras) this.#add(extra.method, extra.path, extra.handler);
  }

  /** @throws URIError for malformed percent-encoding */
  match(method: string, path: string): RouteMatch | undefined {
    const segments = path.split('/').slice(1);
    for (const route of this.#routes.get(`${method} ${segments[0]}`) ?? []) {
      const params = route.pattern === undefined ? matchSegments(route, segments) : matchPattern(route.pattern, path);
      if (params !== undefined) return { handler: route.handler, params };
    }
    return undefined;
  }

  #add(method: HttpMethod, path: string, handler: Handler): void {
    const segments = path.split('/').slice(1);
    const key = `${method} ${segments[0]}`;
    const routes = this.#routes.get(key) ?? [];
    const route = { segments, pattern: patternOf(path), handler };
    // Fixed paths go first: `/images/json` must not be taken for an image named `json`.
    if (path.includes('{')) routes.push(route);
    else routes.unshift(route);
    this.#routes.set(key, routes);
  }
}

function missing(operation: OperationId): Handler {
  const { method, path } = OPERATIONS[operation];
  return () => Promise.reject(unimplemented(`${method} ${path} is not built yet: ${operation}`));
}

function patternOf(path: string): RegExp | undefined {
  if (!path.includes('{name}')) return undefined;
  return new RegExp(`^${path.replace('{name}', '(?<name>.+)')}$`);
}

function matchPattern(pattern: RegExp, path: string): Record<string, string> | undefined {
  const name = pattern.exec(path)?.groups?.['name'];
  return name === undefined ? undefined : { name: decodeURIComponent(name) };
}

function matchSegments(route: Route, segments: readonly string[]): Record<string, string> | undefined {
  if (route.segments.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [at, wanted] of route.segments.entries()) {
    const given = segments[at] ?? '';
    if (wanted.startsWith('{')) {
      if (given === '') return undefined;
      params[wanted.slice(1, -1)] = decodeURIComponent(given);
    } else if (wanted !== given) return undefined;
  }
  return params;
}

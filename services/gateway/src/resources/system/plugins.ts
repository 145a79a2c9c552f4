import { parseFilters } from '@atoll/docker-api';
import { notFound } from '@atoll/errors';
import { sendJson } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';

/** GET /plugins: none can be installed, so there are none. */
export function listPlugins(): Handler {
  return async ({ query, response }) => {
    parseFilters(query.get('filters') ?? '', ['capability', 'enable']);
    sendJson(response, 200, []);
  };
}

/** GET /plugins/{name}/json: `docker inspect` asks for any name here. */
export function inspectPlugin(): Handler {
  return ({ params }) => Promise.reject(notFound(`plugin "${params['name']}" not found`));
}

import type { IncomingMessage } from 'node:http';
import { hasReason, notFound, permissionDenied } from '@atoll/errors';
import { z } from 'zod';
import { containerOf } from '../../relay/relayed-socket.ts';
import { parseQuery, queryFlag, queryText } from '../../routing/query.ts';
import { sendEmpty, sendJson } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { NetworkBackend, NetworkLookup } from './backend.ts';
import { selectNetworks } from './filters.ts';
import { networkObject, networkSummary } from './network-object.ts';
import type { NetworkView } from './network-view.ts';

const LIST_QUERY = z.object({ filters: queryText() });

/** GET /networks */
export function listNetworks(backend: NetworkBackend): Handler {
  return async ({ query, response }) => {
    const chosen = selectNetworks(backend, parseQuery(query, LIST_QUERY).filters);
    sendJson(
      response,
      200,
      chosen.map((view) => networkSummary(backend, view)),
    );
  };
}

const INSPECT_QUERY = z.object({ verbose: queryFlag(), scope: queryText() });

/** GET /networks/{id}. `verbose` adds services, of which there are none. */
export function inspectNetwork(backend: NetworkBackend): Handler {
  return async ({ request, params, query, response }) => {
    const { scope } = parseQuery(query, INSPECT_QUERY);
    const view = requireNetwork(backend, params['id'] ?? '');
    if (scope !== '' && scope !== view.scope) throw notFound(`network ${params['id']} not found`);
    sendJson(response, 200, networkObject(backend, view, nodeOfAsker(backend, request)));
  };
}

function nodeOfAsker(backend: NetworkBackend, request: IncomingMessage): string | undefined {
  const container = containerOf(request.socket);
  return backend.list().find(({ record }) => record.id === container)?.record.nodeId;
}

/** DELETE /networks/{id} */
export function removeNetwork(backend: NetworkBackend): Handler {
  return async ({ params, response, signal }) => {
    const view = requireNetwork(backend, params['id'] ?? '');
    if (!view.record) throw permissionDenied(`${view.name} is a pre-defined network and cannot be removed`);
    await forbidden(backend.removeNetwork(view, signal));
    sendEmpty(response, 204);
  };
}

/** @throws not-found in docker's words */
export function requireNetwork(lookup: NetworkLookup, reference: string): NetworkView {
  const view = lookup.findNetwork(reference);
  if (!view) throw notFound(`network ${reference} not found`);
  return view;
}

/** A network in use is 403 in docker, not 500. */
async function forbidden(removal: Promise<void>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if (!hasReason(error, 'failed-precondition')) throw error;
    throw permissionDenied((error as Error).message, { cause: error });
  }
}

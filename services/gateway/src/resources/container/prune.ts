import { parseFilters } from '@atoll/docker-api';
import { hasReason } from '@atoll/errors';
import { z } from 'zod';
import { matchesPruneLabels, PRUNE_FILTERS, untilOf } from '../../routing/prune-filters.ts';
import { parseQuery, queryText } from '../../routing/query.ts';
import { sendJson } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { ContainerLifecycle, ContainerLookup, ContainerQuestions, PruneNews } from './backend.ts';
import { dockerState } from './container-state.ts';

const QUERY = z.object({ filters: queryText() });
const STOPPED: readonly string[] = ['created', 'exited', 'dead'];

/** POST /containers/prune: removes what does not run. */
export function pruneContainers(
  backend: ContainerLookup & ContainerLifecycle & ContainerQuestions & PruneNews,
): Handler {
  return async ({ query, response, signal }) => {
    const filters = parseFilters(parseQuery(query, QUERY).filters, PRUNE_FILTERS);
    const until = untilOf(filters);
    const chosen = backend
      .list()
      .filter(
        (view) =>
          STOPPED.includes(dockerState(view)) &&
          view.record.createdAtNs < until &&
          matchesPruneLabels(filters, view.spec.labels),
      );
    const sizes = await backend.sizes(chosen, signal);
    const deleted: string[] = [];
    for (const view of chosen) {
      try {
        await backend.remove(view, { force: false, volumes: false }, signal);
        deleted.push(view.record.id);
      } catch (error) {
        // Started or removed by somebody else meanwhile: no longer ours to prune.
        if (!hasReason(error, 'conflict', 'not-found', 'unavailable')) throw error;
      }
    }
    const reclaimed = deleted.reduce((sum, id) => sum + (sizes.get(id) ?? 0), 0);
    backend.tellPrune('container', reclaimed);
    sendJson(response, 200, { ContainersDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimed });
  };
}

import { parseFilters } from '@atoll/docker-api';
import { hasReason } from '@atoll/errors';
import { z } from 'zod';
import { matchesPruneLabels, PRUNE_FILTERS, untilOf } from '../../routing/prune-filters.ts';
import { parseQuery, queryText } from '../../routing/query.ts';
import { sendJson } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { NetworkBackend } from './backend.ts';
import { usedNetworks } from './filters.ts';

const QUERY = z.object({ filters: queryText() });

/** POST /networks/prune: removes those that no running container uses. Configurations stay, as in docker. */
export function pruneNetworks(backend: NetworkBackend): Handler {
  return async ({ query, response, signal }) => {
    const filters = parseFilters(parseQuery(query, QUERY).filters, PRUNE_FILTERS);
    const until = untilOf(filters);
    const used = usedNetworks(backend);
    const deleted: string[] = [];
    for (const view of backend.listNetworks()) {
      const { record } = view;
      if (!record || record.configOnly || used.has(view.id) || record.createdAtNs >= until) continue;
      if (!matchesPruneLabels(filters, record.labels)) continue;
      try {
        await backend.removeNetwork(view, signal);
        deleted.push(view.name);
      } catch (error) {
        // Used or removed by somebody else meanwhile: no longer ours to prune.
        if (!hasReason(error, 'failed-precondition', 'not-found')) throw error;
      }
    }
    backend.tellPrune('network', 0);
    sendJson(response, 200, { NetworksDeleted: deleted.length === 0 ? null : deleted });
  };
}

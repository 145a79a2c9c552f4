import { decodeAuthMap, parseFilters } from '@atoll/docker-api';
import { unimplemented } from '@atoll/errors';
import { z } from 'zod';
import { parseQuery, queryFlag, queryText } from '../../routing/query.ts';
import { sendJson } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import { streamMessages } from '../image/progress-stream.ts';
import type { BuildBackend } from './backend.ts';
import { buildMessages } from './build-messages.ts';
import { buildOptions } from './build-options.ts';

/** POST /build, classic builder only. */
export function buildImage(backend: BuildBackend): Handler {
  return async ({ query, request, response, signal }) => {
    const header = request.headers['x-registry-config'];
    const options = buildOptions(query, decodeAuthMap(Array.isArray(header) ? header[0] : header));
    const answers = backend.build(options, request as AsyncIterable<Buffer>, signal);
    await streamMessages(response, buildMessages(answers, options.quiet), signal);
  };
}

const PRUNE_QUERY = z.object({
  'keep-storage': queryText('0'),
  'reserved-space': queryText('0'),
  'max-used-space': queryText('0'),
  'min-free-space': queryText('0'),
  all: queryFlag(),
  filters: queryText(),
});

/** POST /build/prune */
export function pruneBuildCache(backend: BuildBackend): Handler {
  return async ({ query, response, signal }) => {
    const asked = parseQuery(query, PRUNE_QUERY);
    for (const name of ['keep-storage', 'reserved-space', 'max-used-space', 'min-free-space'] as const) {
      if (asked[name] !== '' && asked[name] !== '0') {
        throw unimplemented(`POST /build/prune: the parameter "${name}" is not built yet`);
      }
    }
    if (
      parseFilters(asked.filters, ['until', 'id', 'parent', 'type', 'description', 'inuse', 'shared', 'private']).size >
      0
    ) {
      throw unimplemented('POST /build/prune: the parameter "filters" is not built yet');
    }
    const { removed, reclaimed } = await backend.pruneBuildCache(signal);
    sendJson(response, 200, { CachesDeleted: removed.length === 0 ? null : removed, SpaceReclaimed: reclaimed });
  };
}

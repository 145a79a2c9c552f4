import { isAtLeast } from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';
import { z } from 'zod';
import { parseQuery, queryFlag } from '../../routing/query.ts';
import { sendJson, writeChunk } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { ContainerLookup, ContainerStreams } from './backend.ts';
import { isRunning } from './container-state.ts';
import { emptyStats, statsObject } from './stats-view.ts';

const QUERY = z.object({ stream: queryFlag(true), 'one-shot': queryFlag() });

/** GET /containers/{id}/stats: a sample a second, or one. */
export function containerStats(backend: ContainerLookup & ContainerStreams): Handler {
  return async ({ params, query, response, signal, version }) => {
    const asked = parseQuery(query, QUERY);
    const { stream } = asked;
    // Before 1.41 nobody could ask for it.
    const oneShot = asked['one-shot'] && isAtLeast(version, 41);
    if (stream && oneShot) throw invalidArgument('cannot have stream=true and one-shot=true');
    const view = backend.find(params['id'] ?? '');
    if (!stream && !isRunning(view)) {
      sendJson(response, 200, emptyStats(view));
      return;
    }
    for await (const sample of backend.stats(view, { stream, oneShot }, signal)) {
      if (!response.headersSent) response.writeHead(200, { 'Content-Type': 'application/json' });
      await writeChunk(response, `${JSON.stringify(statsObject(view, sample))}\n`, signal);
      if (!stream) break;
    }
    if (!response.headersSent) response.writeHead(200, { 'Content-Type': 'application/json' });
    response.end();
  };
}

import { isAtLeast } from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';
import { z } from 'zod';
import { parseQuery, queryText } from '../../routing/query.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { ContainerLookup, ContainerStreams, WaitCondition } from './backend.ts';

const QUERY = z.object({ condition: queryText('not-running') });
const CONDITIONS: readonly string[] = ['not-running', 'next-exit', 'removed'] satisfies WaitCondition[];

/**
 * POST /containers/{id}/wait. The headers go out as soon as the condition is being watched: clients send the start only after
 * they have seen them. Before 1.30 there were no conditions, and everything came at the end.
 */
export function waitContainer(backend: ContainerLookup & ContainerStreams): Handler {
  return async ({ params, query, response, signal, version }) => {
    const legacy = !isAtLeast(version, 30);
    const condition = legacy ? 'not-running' : parseQuery(query, QUERY).condition || 'not-running';
    if (!CONDITIONS.includes(condition)) throw invalidArgument(`invalid condition: "${condition}"`);
    const view = backend.find(params['id'] ?? '');
    const { result } = await backend.wait(view, condition as WaitCondition, signal);
    const begin = (): void => {
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.flushHeaders();
    };
    if (!legacy) begin();
    const { exitCode, error } = await result;
    if (legacy) begin();
    // Before 1.34 a removal that failed was told by an empty answer.
    if (error !== '' && condition === 'removed' && !isAtLeast(version, 34)) {
      response.end();
      return;
    }
    response.end(
      `${JSON.stringify({ StatusCode: exitCode, ...(error === '' ? {} : { Error: { Message: error } }) })}\n`,
    );
  };
}

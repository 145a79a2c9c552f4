import { invalidArgument } from '@atoll/errors';
import { z } from 'zod';
import { parseQuery, queryText } from '../../routing/query.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { ContainerLookup, ContainerStreams, WaitCondition } from './backend.ts';

const QUERY = z.object({ condition: queryText('not-running') });
const CONDITIONS: readonly string[] = ['not-running', 'next-exit', 'removed'] satisfies WaitCondition[];

/**
 * POST /containers/{id}/wait. The headers go out as soon as the condition is being watched: clients send the start only after
 * they have seen them.
 */
export function waitContainer(backend: ContainerLookup & ContainerStreams): Handler {
  return async ({ params, query, response, signal }) => {
    const asked = parseQuery(query, QUERY).condition;
    const condition = asked === '' ? 'not-running' : asked;
    if (!CONDITIONS.includes(condition)) throw invalidArgument(`invalid condition: "${condition}"`);
    const view = backend.find(params['id'] ?? '');
    const { result } = await backend.wait(view, condition as WaitCondition, signal);
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.flushHeaders();
    const { exitCode, error } = await result;
    response.end(
      `${JSON.stringify({ StatusCode: exitCode, ...(error === '' ? {} : { Error: { Message: error } }) })}\n`,
    );
  };
}

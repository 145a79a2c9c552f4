import { conflict } from '@atoll/errors';
import { z } from 'zod';
import { parseQuery, queryText } from '../../routing/query.ts';
import { sendEmpty, sendJson } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import { terminalSize } from '../terminal-size.ts';
import type { ContainerLookup, ContainerNews, ContainerQuestions, ContainerStreams } from './backend.ts';
import { isRunning } from './container-state.ts';

const TOP_QUERY = z.object({ ps_args: queryText() });

/** GET /containers/{id}/top */
export function topContainer(backend: ContainerLookup & ContainerQuestions & ContainerNews): Handler {
  return async ({ params, query, response, signal }) => {
    const view = backend.find(params['id'] ?? '');
    const psArgs = parseQuery(query, TOP_QUERY).ps_args;
    if (!isRunning(view)) throw conflict(`Container ${view.record.id} is not running`);
    const { titles, processes } = await backend.top(view, psArgs, signal);
    backend.tell(view, 'top');
    sendJson(response, 200, { Titles: titles, Processes: processes.map((process) => process.fields) });
  };
}

/** GET /containers/{id}/changes */
export function containerChanges(backend: ContainerLookup & ContainerQuestions): Handler {
  return async ({ params, response, signal }) => {
    const changes = await backend.changes(backend.find(params['id'] ?? ''), signal);
    const answer = changes.map(({ path, kind }) => ({ Path: path, Kind: kind }));
    sendJson(response, 200, answer.length === 0 ? null : answer);
  };
}

/** POST /containers/{id}/resize */
export function resizeContainer(backend: ContainerLookup & ContainerStreams & ContainerNews): Handler {
  return async ({ params, query, response, signal }) => {
    const size = terminalSize(query);
    const view = backend.find(params['id'] ?? '');
    if (!isRunning(view)) throw conflict(`container ${view.record.id} is not running`);
    await backend.resize(view, size, signal);
    backend.tell(view, 'resize', { height: String(size.height), width: String(size.width) });
    sendEmpty(response, 200);
  };
}

import { parseDetachKeys } from '@atoll/docker-api';
import { conflict } from '@atoll/errors';
import { AsyncQueue } from '@atoll/rpc';
import { z } from 'zod';
import { streamContentType } from '../../hijack/content-type.ts';
import { runSession } from '../../hijack/session.ts';
import type { TerminalInput } from '../../hijack/terminal-io.ts';
import { hijack } from '../../hijack/upgrade.ts';
import { parseQuery, queryFlag, queryText } from '../../routing/query.ts';
import { readText } from '../../routing/request-body.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { ContainerLookup, ContainerStreams } from './backend.ts';
import { dockerState } from './container-state.ts';

const QUERY = z.object({
  detachKeys: queryText(),
  logs: queryFlag(),
  stream: queryFlag(),
  stdin: queryFlag(),
  stdout: queryFlag(),
  stderr: queryFlag(),
});

/** Chunks of stdin in flight to the node; each is at most one read of the socket. */
const INPUT_LIMIT = 16;

/** POST /containers/{id}/attach */
export function attachContainer(backend: ContainerLookup & ContainerStreams): Handler {
  return async (context) => {
    const asked = parseQuery(context.query, QUERY);
    const detachKeys = parseDetachKeys(asked.detachKeys);
    await readText(context.request);
    const view = backend.find(context.params['id'] ?? '');
    if (asked.stream && dockerState(view) === 'paused') {
      throw conflict(`Container ${view.record.id} is paused, unpause the container before attach.`);
    }
    const input = new AsyncQueue<TerminalInput>(INPUT_LIMIT);
    const stdin = asked.stdin && asked.stream && (view.spec.process?.openStdin ?? false);
    const life = new AbortController();
    const signal = AbortSignal.any([context.signal, life.signal]);
    const process = await backend.attach(view, { ...asked, stdin }, input, signal);
    await runSession({
      socket: hijack(context, streamContentType(context.version, process.tty)),
      input: stdin ? input : undefined,
      output: process.output,
      multiplexed: !process.tty,
      detachKeys: process.tty ? detachKeys : undefined,
      cancel: (reason) => life.abort(reason),
    });
  };
}

import { isAtLeast, parseDetachKeys } from '@atoll/docker-api';
import { conflict } from '@atoll/errors';
import { AsyncQueue } from '@atoll/rpc';
import { z } from 'zod';
import { streamContentType } from '../../hijack/content-type.ts';
import { runSession } from '../../hijack/session.ts';
import type { AttachedProcess, TerminalInput } from '../../hijack/terminal-io.ts';
import { hijack } from '../../hijack/upgrade.ts';
import { acceptWebSocket, requireWebSocket } from '../../hijack/websocket.ts';
import { parseQuery, queryFlag, queryText } from '../../routing/query.ts';
import { readText } from '../../routing/request-body.ts';
import type { Handler, RequestContext } from '../../routing/request-context.ts';
import type { ContainerLookup, ContainerNews, ContainerStreams } from './backend.ts';
import { dockerState } from './container-state.ts';
import type { ContainerView } from './container-view.ts';

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

type Backend = ContainerLookup & ContainerStreams & ContainerNews;
type Asked = z.output<typeof QUERY>;

/** POST /containers/{id}/attach */
export function attachContainer(backend: Backend): Handler {
  return async (context) => {
    const asked = parseQuery(context.query, QUERY);
    const detachKeys = parseDetachKeys(asked.detachKeys);
    await readText(context.request);
    const { view, process, input, cancel } = await openAttachment(backend, context, asked);
    const end = await runSession({
      socket: hijack(context, streamContentType(context.version, process.tty)),
      input,
      output: process.output,
      multiplexed: !process.tty,
      detachKeys: process.tty ? detachKeys : undefined,
      cancel,
    });
    if (end !== 'ended') backend.tell(view, 'detach');
  };
}

/**
 * GET /containers/{id}/attach/ws: the same over a WebSocket, a message for each piece. Streams are never framed: without a TTY
 * stdout and stderr arrive as they come. Messages are binary since 1.28, text before; before 1.42 all streams are attached.
 */
export function attachWebSocket(backend: Backend): Handler {
  return async (context) => {
    const { version } = context;
    const asked = parseQuery(context.query, QUERY);
    const detachKeys = parseDetachKeys(asked.detachKeys);
    requireWebSocket(context.request);
    const streams = isAtLeast(version, 42) ? asked : { ...asked, stdin: true, stdout: true, stderr: true };
    const { view, process, input, cancel } = await openAttachment(backend, context, streams);
    const socket = await acceptWebSocket(context, isAtLeast(version, 28)).catch((error: unknown) => {
      cancel(error);
      throw error;
    });
    const end = await runSession({
      socket,
      input,
      output: process.output,
      multiplexed: false,
      detachKeys: process.tty ? detachKeys : undefined,
      cancel,
    });
    if (end !== 'ended') backend.tell(view, 'detach');
  };
}

interface Attachment {
  readonly view: ContainerView;
  readonly process: AttachedProcess;
  /** Undefined: what the client sends goes nowhere. */
  readonly input: AsyncQueue<TerminalInput> | undefined;
  readonly cancel: (reason: unknown) => void;
}

async function openAttachment(backend: Backend, context: RequestContext, asked: Asked): Promise<Attachment> {
  const view = backend.find(context.params['id'] ?? '');
  if (asked.stream && dockerState(view) === 'paused') {
    throw conflict(`Container ${view.record.id} is paused, unpause the container before attach.`);
  }
  const input = new AsyncQueue<TerminalInput>(INPUT_LIMIT);
  const stdin = asked.stdin && asked.stream && (view.spec.process?.openStdin ?? false);
  const life = new AbortController();
  const signal = AbortSignal.any([context.signal, life.signal]);
  const process = await backend.attach(view, { ...asked, stdin }, input, signal);
  backend.tell(view, 'attach');
  return { view, process, input: stdin ? input : undefined, cancel: (reason) => life.abort(reason) };
}

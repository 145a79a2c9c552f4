import { parseDetachKeys } from '@atoll/docker-api';
import { hasReason } from '@atoll/errors';
import { AsyncQueue } from '@atoll/rpc';
import { z } from 'zod';
import { streamContentType } from '../../hijack/content-type.ts';
import { runSession } from '../../hijack/session.ts';
import type { AttachedProcess, OutputChunk, TerminalInput } from '../../hijack/terminal-io.ts';
import { hijack } from '../../hijack/upgrade.ts';
import { sendEmpty } from '../../routing/reply.ts';
import { readJson } from '../../routing/request-body.ts';
import type { Handler } from '../../routing/request-context.ts';
import { absentable, flag, knownFields } from '../container/lenient-object.ts';
import type { ExecBackend } from './backend.ts';

const REQUEST = knownFields({
  Detach: flag,
  Tty: flag,
  ConsoleSize: absentable(z.tuple([z.int().min(0).max(65535), z.int().min(0).max(65535)])),
  // dockerode sends its own options along.
  hijack: z.unknown().optional(),
  stdin: z.unknown().optional(),
  abortSignal: z.unknown().optional(),
});

const INPUT_LIMIT = 16;
const DETACH_TIMEOUT_MS = 5_000;

/** POST /exec/{id}/start */
export function startExec(backend: ExecBackend): Handler {
  return async (context) => {
    const request = await readJson(context, REQUEST, { optional: true });
    const id = context.params['id'] ?? '';
    const tty = request.Tty ?? false;
    const [height, width] = request.ConsoleSize ?? [0, 0];
    const options = { tty, height, width };
    if (request.Detach === true) {
      await backend.startDetachedExec(id, options, context.signal);
      sendEmpty(context.response, 200);
      return;
    }
    const input = new AsyncQueue<TerminalInput>(INPUT_LIMIT);
    const life = new AbortController();
    const signal = AbortSignal.any([context.signal, life.signal]);
    const process = await attachOrExplain(backend, id, options, input, signal);
    const end = await runSession({
      socket: hijack(context, streamContentType(context.version, tty)),
      input,
      output: process.output,
      multiplexed: !tty,
      detachKeys: tty ? parseDetachKeys(process.detachKeys ?? '') : undefined,
      cancel: (reason) => life.abort(reason),
    });
    if (end === 'detached') await tellDetached(backend, id);
  };
}

/** Of a container that has gone meanwhile there is nothing to tell. */
async function tellDetached(backend: ExecBackend, id: string): Promise<void> {
  try {
    const { containerId } = await backend.inspectExec(id, AbortSignal.timeout(DETACH_TIMEOUT_MS));
    backend.tell(backend.find(containerId), 'exec_detach', { execID: id });
  } catch (error) {
    if (!hasReason(error, 'not-found', 'unavailable', 'deadline-exceeded')) throw error;
  }
}

/**
 * Docker answers before it tries, so a program that cannot be run is told in the stream and by the exec's exit code (126, 127);
 * only an unknown id and a wrong state are errors of the request.
 */
async function attachOrExplain(
  backend: ExecBackend,
  id: string,
  options: Parameters<ExecBackend['startExec']>[1],
  input: AsyncQueue<TerminalInput>,
  signal: AbortSignal,
): Promise<AttachedProcess> {
  try {
    return await backend.startExec(id, options, input, signal);
  } catch (error) {
    if (!hasReason(error, 'invalid-argument', 'failed-precondition')) throw error;
    input.end();
    return { tty: options.tty, output: once(error instanceof Error ? error.message : String(error)) };
  }
}

async function* once(message: string): AsyncGenerator<OutputChunk> {
  yield { stream: 'stderr', data: Buffer.from(`${message}\r\n`) };
}

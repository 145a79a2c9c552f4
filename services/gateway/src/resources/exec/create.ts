import { parseDetachKeys } from '@atoll/docker-api';
import { conflict, invalidArgument } from '@atoll/errors';
import { runtimeV1 } from '@atoll/proto';
import { z } from 'zod';
import { sendJson } from '../../routing/reply.ts';
import { readJson } from '../../routing/request-body.ts';
import type { Handler } from '../../routing/request-context.ts';
import { dockerState } from '../container/container-state.ts';
import { absentable, flag, knownFields, text, texts, words } from '../container/lenient-object.ts';
import type { ExecBackend } from './backend.ts';

const REQUEST = knownFields({
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  ConsoleSize: absentable(z.tuple([z.int().min(0).max(65535), z.int().min(0).max(65535)])),
  DetachKeys: text,
  Tty: flag,
  Env: texts,
  Cmd: words,
  Privileged: flag,
  User: text,
  WorkingDir: text,
  // Older clients send these along; docker does not look at them here.
  Detach: z.unknown().optional(),
  Container: z.unknown().optional(),
  abortSignal: z.unknown().optional(),
});

/** POST /containers/{id}/exec */
export function createExec(backend: ExecBackend): Handler {
  return async (context) => {
    const request = await readJson(context, REQUEST);
    const view = backend.find(context.params['id'] ?? '');
    if (request.Cmd === undefined || request.Cmd.length === 0) throw invalidArgument('No exec command specified');
    parseDetachKeys(request.DetachKeys ?? '');
    const cwd = request.WorkingDir ?? '';
    if (cwd !== '' && !cwd.startsWith('/')) {
      throw invalidArgument(`the working directory '${cwd}' is invalid, it needs to be an absolute path`);
    }
    const state = dockerState(view);
    if (state === 'paused') {
      throw conflict(`Container ${view.spec.name} is paused, unpause the container before exec`);
    }
    const [height, width] = request.ConsoleSize ?? [0, 0];
    const spec = runtimeV1.ExecSpec.fromPartial({
      argv: request.Cmd,
      env: request.Env ?? [],
      cwd,
      user: request.User ?? '',
      tty: request.Tty ?? false,
      privileged: request.Privileged ?? false,
      attachStdin: request.AttachStdin ?? false,
      attachStdout: request.AttachStdout ?? false,
      attachStderr: request.AttachStderr ?? false,
      detachKeys: request.DetachKeys ?? '',
      console: { height, width },
    });
    sendJson(context.response, 201, { Id: await backend.createExec(view, spec, context.signal) });
  };
}

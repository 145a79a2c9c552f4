import { sendEmpty, sendJson } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import { terminalSize } from '../terminal-size.ts';
import type { ExecBackend } from './backend.ts';

/** GET /exec/{id}/json */
export function inspectExec(backend: ExecBackend): Handler {
  return async ({ params, response, signal }) => {
    const exec = await backend.inspectExec(params['id'] ?? '', signal);
    const [entrypoint = '', ...args] = exec.spec?.argv ?? [];
    sendJson(response, 200, {
      ID: exec.execId,
      Running: exec.running,
      ExitCode: exec.exitCode ?? null,
      ProcessConfig: {
        tty: exec.spec?.tty ?? false,
        entrypoint,
        arguments: args,
        privileged: exec.spec?.privileged ?? false,
        ...(exec.spec?.user ? { user: exec.spec.user } : {}),
      },
      OpenStdin: exec.spec?.attachStdin ?? false,
      OpenStderr: exec.spec?.attachStderr ?? false,
      OpenStdout: exec.spec?.attachStdout ?? false,
      CanRemove: exec.canRemove,
      ContainerID: exec.containerId,
      DetachKeys: exec.spec?.detachKeys ?? '',
      Pid: exec.pid,
    });
  };
}

/** POST /exec/{id}/resize */
export function resizeExec(backend: ExecBackend): Handler {
  return async ({ params, query, response, signal }) => {
    await backend.resizeExec(params['id'] ?? '', terminalSize(query), signal);
    sendEmpty(response, 200);
  };
}

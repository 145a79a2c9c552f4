import { invalidArgument } from '@atoll/errors';
import type { runtimeV1 } from '@atoll/proto';
import type { CallContext } from '@atoll/rpc';
import type { Exec, ExecRegistry } from '../../execs/exec-registry.ts';
import type { ExecStarter } from '../../execs/exec-starter.ts';
import type { ProcessSession } from '../../runtime/process-session.ts';
import { outputOf } from './attach.ts';

/** RuntimeService.StartExec: runs an exec; its streams, then its exit code. */
export async function* startExec(
  registry: ExecRegistry,
  starter: ExecStarter,
  requests: AsyncIterable<runtimeV1.StartExecRequest>,
  context: CallContext,
): AsyncIterable<runtimeV1.StartExecResponse> {
  const input = requests[Symbol.asyncIterator]();
  const first = await input.next();
  const message = first.done ? undefined : first.value.message;
  if (message?.$case !== 'start') throw invalidArgument('the first message of an exec must be its start');
  const { execId, detach, console } = message.value;
  const exec = registry.get(execId);
  const window = console ?? exec.spec.console;
  const size = { rows: window?.height ?? 0, cols: window?.width ?? 0 };
  const session = await starter.start(exec, size, context.signal);
  if (detach) {
    drain(session);
    yield { message: { $case: 'started', value: { pid: exec.pid } } };
    return;
  }
  const output = session.output()[Symbol.asyncIterator]();
  // A client that has gone sends no more; the process is told as by an end of its input.
  const leave = (): void => void session.endStdin().catch(() => undefined);
  context.signal.addEventListener('abort', leave, { once: true });
  try {
    yield { message: { $case: 'started', value: { pid: exec.pid } } };
    feed(input, session, context.signal).catch(() => undefined);
    for (;;) {
      const next = await output.next();
      if (next.done) break;
      if (wanted(exec, next.value.stream)) yield outputOf(next.value);
    }
    const { code } = await session.exit;
    yield { message: { $case: 'exit', value: { exitCode: code } } };
  } finally {
    context.signal.removeEventListener('abort', leave);
    // The process may go on without its client, and its end must be noted.
    drainRest(output);
  }
}

function wanted(exec: Exec, stream: 'stdout' | 'stderr'): boolean {
  if (exec.spec.tty) return exec.spec.attachStdout || exec.spec.attachStderr;
  return stream === 'stdout' ? exec.spec.attachStdout : exec.spec.attachStderr;
}

function drain(session: ProcessSession): void {
  drainRest(session.output()[Symbol.asyncIterator]());
}

function drainRest(output: AsyncIterator<unknown>): void {
  const read = async (): Promise<void> => {
    while (!(await output.next()).done);
  };
  read().catch(() => undefined);
}

async function feed(
  input: AsyncIterator<runtimeV1.StartExecRequest>,
  session: ProcessSession,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const next = await input.next();
    if (next.done) return;
    const { message } = next.value;
    if (message?.$case === 'stdin') await session.writeStdin(message.value);
    else if (message?.$case === 'stdinEof') await session.endStdin();
    else if (message?.$case === 'resize') {
      await session.resize({ rows: message.value.height, cols: message.value.width });
    }
  }
}

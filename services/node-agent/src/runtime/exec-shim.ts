import type { ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { internal } from '@atoll/errors';
import { FrameSession } from './frame-session.ts';
import { encodeFrame, FRAME } from './frames.ts';
import type { ExecPlan } from './plan.ts';
import { encodeExecPlan } from './plan-encoder.ts';
import type { ProcessSession } from './process-session.ts';
import { spawnShim } from './shim-child.ts';

export interface StartedExec {
  readonly session: ProcessSession;
  /** Host pid of the process. */
  readonly pid: number;
}

/**
 * Starts a process in a running container; resolves once its program runs. Fails with
 * `details.exitCode` 126 or 127 when it cannot. Its shim speaks frames on its own standard streams:
 * when this agent dies, the process goes on without readers.
 */
export function execShim(shim: string, plan: ExecPlan, signal: AbortSignal): Promise<StartedExec> {
  return startExec(spawnExecShim(shim), plan, signal);
}

/** A shim that waits for the plan of its exec; it ends when its input does. */
export function spawnExecShim(shim: string): ChildProcess {
  return spawnShim(shim, ['exec'], ['pipe', 'pipe', 'ignore'], true);
}

/** Gives a waiting shim its plan; see `execShim`. */
export async function startExec(child: ChildProcess, plan: ExecPlan, signal: AbortSignal): Promise<StartedExec> {
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw internal('the shim was started without streams');
  child.on('error', (error) => stdout.destroy(error));
  const session = new FrameSession(stdout as Readable, stdin as Writable, () => {
    stdin.destroy();
    stdout.destroy();
    child.unref();
  });
  const abort = (): boolean => child.kill('SIGKILL');
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    stdin.write(encodeFrame(FRAME.plan, encodeExecPlan(plan)));
    await session.expectReply(FRAME.plan, 'start the exec');
    const state = await session.expectState('start the exec');
    return { session, pid: state.pid };
  } catch (error) {
    abort();
    session.close();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

import { FrameSession } from './frame-session.ts';
import { encodeFrame, FRAME } from './frames.ts';
import type { ExecPlan } from './plan.ts';
import { encodeExecPlan } from './plan-encoder.ts';
import type { ProcessSession } from './process-session.ts';
import type { ShimSpawner } from './shim-spawner.ts';

export interface StartedExec {
  readonly session: ProcessSession;
  /** Host pid of the process. */
  readonly pid: number;
}

/** KILL: u32 signal 9, u8 the process alone. */
const KILL = encodeFrame(FRAME.kill, Buffer.from([9, 0, 0, 0, 0]));

/**
 * Starts a process in a running container; resolves once its program runs. Fails with `details.exitCode` 126 or 127 when it cannot.
 * When this agent dies, the process goes on without readers; when the start is aborted, the process is killed.
 */
export async function execShim(spawner: ShimSpawner, plan: ExecPlan, signal: AbortSignal): Promise<StartedExec> {
  const socket = await spawner.connect(signal);
  const session = new FrameSession(socket);
  // Behind the plan: a process that runs by then gets it, one that cannot run is over anyway.
  const abort = (): void => void socket.write(KILL);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await session.send(FRAME.plan, encodeExecPlan(plan));
    await session.expectReply(FRAME.plan, 'start the exec');
    const { pid } = await session.expectState('start the exec');
    signal.throwIfAborted();
    return { session, pid };
  } catch (error) {
    session.close();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

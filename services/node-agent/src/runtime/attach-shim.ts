import { FrameSession } from './frame-session.ts';
import { encodeFrame, FRAME } from './frames.ts';
import type { ProcessSession } from './process-session.ts';
import { connectShim } from './shim-socket.ts';

export interface AttachOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /**
   * How long the shim waits for a reader that takes nothing while its 256 KiB are full, before it
   * drops this session. Until then the container's writes block, as with dockerd. 0: dropped at once.
   */
  readonly stallMilliseconds?: number | undefined;
}

/** Docker blocks the container for as long as it takes; a minute protects the others and the log. */
export const DEFAULT_STALL_MILLISECONDS = 60_000;

/** Output from the moment of the call on (the past is in the log). Works before the start, too. */
export async function attachShim(bundle: string, options: AttachOptions, signal: AbortSignal): Promise<ProcessSession> {
  const socket = await connectShim(bundle, signal);
  const session = new FrameSession(socket);
  const payload = Buffer.alloc(5);
  payload.writeUInt8((options.stdin ? 1 : 0) | (options.stdout ? 2 : 0) | (options.stderr ? 4 : 0), 0);
  payload.writeUInt32LE(options.stallMilliseconds ?? DEFAULT_STALL_MILLISECONDS, 1);
  socket.write(encodeFrame(FRAME.attach, payload));
  const abort = (): void => {
    socket.destroy();
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    await session.expectReply(FRAME.attach, 'attach to the container');
    return session;
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

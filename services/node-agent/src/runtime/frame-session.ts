import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { unavailable } from '@atoll/errors';
import { encodeFrame, FRAME, type Frame, FrameParser, MAX_FRAME_BYTES } from './frames.ts';
import type { TerminalSize } from './plan.ts';
import type { OutputChunk, ProcessSession } from './process-session.ts';
import { decodeReply, shimError } from './shim-failure.ts';
import { decodeState, type ShimState } from './shim-state.ts';

/** A process session over a connection that speaks the control protocol. */
export class FrameSession implements ProcessSession {
  readonly exit: Promise<ShimState>;
  readonly #socket: Socket;
  readonly #frames: AsyncGenerator<Frame>;
  #resolveExit: (state: ShimState) => void = () => {};
  #rejectExit: (error: unknown) => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#frames = readFrames(socket);
    // Whoever reads or writes learns of it; without a listener it would end this process.
    socket.on('error', () => {});
    this.exit = new Promise((resolve, reject) => {
      this.#resolveExit = resolve;
      this.#rejectExit = reject;
    });
    this.exit.catch(() => {});
  }

  /** The first frame must be the reply to `request`; a failure becomes an error. */
  async expectReply(request: number, context: string): Promise<void> {
    const first = await this.#frames.next();
    if (first.done || first.value.type !== FRAME.reply) {
      throw unavailable(`${context}: the shim ended the connection without an answer`);
    }
    const { failure } = decodeReply(first.value.payload);
    if (failure !== undefined) throw shimError(failure, context);
    if (request !== first.value.payload.readUInt8(0)) {
      throw unavailable(`${context}: the shim answered another request`);
    }
  }

  /** Waits for the next state frame (an exec's confirmation). */
  async expectState(context: string): Promise<ShimState> {
    const next = await this.#frames.next();
    if (next.done || next.value.type !== FRAME.stateIs) {
      throw unavailable(`${context}: the shim ended the connection without a state`);
    }
    return decodeState(next.value.payload);
  }

  async *output(): AsyncGenerator<OutputChunk> {
    try {
      for await (const frame of this.#frames) {
        if (frame.type === FRAME.stdout) yield { stream: 'stdout', data: frame.payload };
        else if (frame.type === FRAME.stderr) yield { stream: 'stderr', data: frame.payload };
        else if (frame.type === FRAME.exit) this.#resolveExit(decodeState(frame.payload));
      }
    } finally {
      this.#rejectExit(unavailable('the connection to the shim ended before the process did'));
    }
  }

  async writeStdin(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += MAX_FRAME_BYTES / 2) {
      await this.send(FRAME.stdin, data.subarray(at, at + MAX_FRAME_BYTES / 2));
    }
  }

  endStdin(): Promise<void> {
    return this.send(FRAME.stdinEnd);
  }

  resize(size: TerminalSize): Promise<void> {
    const payload = Buffer.alloc(4);
    payload.writeUInt16LE(size.rows, 0);
    payload.writeUInt16LE(size.cols, 2);
    return this.send(FRAME.resize, payload);
  }

  close(): void {
    this.#rejectExit(unavailable('the session was closed'));
    this.#socket.destroy();
  }

  /** Sends a frame; resolves when there is room for the next one. Rejects with `unavailable` when the session is over. */
  async send(type: number, payload?: Uint8Array): Promise<void> {
    if (!this.#socket.writable) {
      throw unavailable('the session is over: the process has ended or the shim is gone');
    }
    if (this.#socket.write(encodeFrame(type, payload))) return;
    const settled = new AbortController();
    try {
      await Promise.race([
        once(this.#socket, 'drain', { signal: settled.signal }),
        once(this.#socket, 'close', { signal: settled.signal }),
      ]);
    } finally {
      settled.abort();
    }
  }
}

async function* readFrames(output: Readable): AsyncGenerator<Frame> {
  const parser = new FrameParser();
  try {
    for await (const chunk of output) yield* parser.push(chunk as Buffer);
  } catch (error) {
    // A reset by a shim that has just ended is the end of the stream, not a failure of ours.
    if (!(error instanceof Error && 'code' in error && error.code !== undefined)) throw error;
  }
}

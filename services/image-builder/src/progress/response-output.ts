import type { buildV1, imageV1 } from '@atoll/proto';
import type { AsyncQueue } from '@atoll/rpc';
import type { BuildOutput } from './build-output.ts';

/** Characters of one message: large outputs are cut, a message stays far below gRPC's limit. */
const PIECE = 64 * 1024;

/** Writes a build's output into the response stream; waits while the client is slow. */
export class ResponseOutput implements BuildOutput {
  readonly #queue: AsyncQueue<buildV1.BuildResponse>;
  readonly #signal: AbortSignal;
  /** True once something was sent: from then on a failure belongs into the stream. */
  started = false;

  constructor(queue: AsyncQueue<buildV1.BuildResponse>, signal: AbortSignal) {
    this.#queue = queue;
    this.#signal = signal;
  }

  async text(text: string): Promise<void> {
    for (let at = 0; at < text.length; at += PIECE) {
      await this.#send({ $case: 'stream', value: text.slice(at, at + PIECE) });
    }
  }

  async progress(progress: imageV1.Progress): Promise<void> {
    await this.#send({ $case: 'progress', value: progress });
  }

  async #send(message: NonNullable<buildV1.BuildResponse['message']>): Promise<void> {
    this.started = true;
    if (!(await this.#queue.pushWait({ message }, this.#signal))) this.#signal.throwIfAborted();
  }
}

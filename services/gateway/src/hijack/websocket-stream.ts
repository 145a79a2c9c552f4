import { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';

/** A WebSocket as a stream of bytes: what comes in any message is read, each write is a message. */
export class WebSocketStream extends Duplex {
  readonly #webSocket: WebSocket;
  readonly #binary: boolean;

  constructor(webSocket: WebSocket, binary: boolean) {
    super({ allowHalfOpen: true });
    this.#webSocket = webSocket;
    this.#binary = binary;
    webSocket.binaryType = 'nodebuffer';
    webSocket.on('message', (data: RawData) => {
      if (!this.push(data as Buffer)) webSocket.pause();
    });
    webSocket.on('error', (error) => this.destroy(error));
    webSocket.on('close', () => {
      this.push(null);
      // Who reads still gets what was sent and its end; nobody is waited for.
      if (this.isPaused() || this.readableEnded) this.destroy();
      else this.once('end', () => this.destroy());
    });
    // The session learns of it by `close`.
    this.on('error', () => undefined);
  }

  override _read(): void {
    if (this.#webSocket.readyState === this.#webSocket.OPEN) this.#webSocket.resume();
  }

  /** The next write waits until this one is with the kernel: a slow client holds its sender back. */
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#webSocket.send(chunk, { binary: this.#binary }, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#webSocket.close(1000);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#webSocket.terminate();
    done(error);
  }
}

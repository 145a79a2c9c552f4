import type { Socket } from 'node:net';
import { asAtollError } from '@atoll/errors';
import { httpStatusOf } from '@atoll/errors/http';
import type { PeerSocket } from '@atoll/rpc';
import { type Frame, FrameParser } from '../runtime/frames.ts';

/** Frames from a shim's relay, see `native/src/api-connection.h`; the other way bytes go as they are. */
export const API_FRAME = { hello: 1, data: 2, end: 3 } as const;

/** Opens a connection to the API for a container. Rejects with what its client is told. */
export type OpenApi = (containerId: string, signal: AbortSignal) => Promise<PeerSocket>;

/** A gateway has so long to take what was sent by one who is gone. */
const LAST_BYTES_MS = 1_000;
const ID = /^[0-9a-f]{64}$/;

/** One connection of a container, between its shim and a gateway. Each side is read only as fast as the other takes it. */
export class RelayedConnection {
  readonly #shim: Socket;
  readonly #open: OpenApi;
  readonly #gone = new AbortController();
  readonly #parser = new FrameParser();
  /** What came before there was a gateway to take it: at most what one read has brought. */
  readonly #early: Frame[] = [];
  #api: PeerSocket | undefined;
  #asked = false;

  constructor(shim: Socket, open: OpenApi) {
    this.#shim = shim;
    this.#open = open;
    shim.on('error', () => undefined);
    shim.on('data', (chunk: Buffer) => {
      try {
        for (const frame of this.#parser.push(chunk)) this.#receive(frame);
      } catch {
        shim.destroy();
      }
    });
    // The shim ends a connection only as a whole: the end of a half is a frame.
    shim.once('close', () => this.#leave());
  }

  /** Cuts it. */
  close(): void {
    this.#shim.destroy();
  }

  #receive(frame: Frame): void {
    if (frame.type === API_FRAME.hello) this.#hello(frame.payload.toString('latin1'));
    else if (!this.#asked) throw new RangeError('a connection that does not say whose it is');
    else if (this.#api) this.#carry(this.#api, frame);
    else this.#early.push({ type: frame.type, payload: Buffer.from(frame.payload) });
  }

  #hello(id: string): void {
    if (this.#asked || !ID.test(id)) throw new RangeError('a connection that is of no container');
    this.#asked = true;
    this.#shim.pause();
    this.#open(id, this.#gone.signal).then(
      (api) => this.#join(api),
      (error: unknown) => this.#refuse(error),
    );
  }

  #join(api: PeerSocket): void {
    this.#api = api;
    const { socket } = api;
    socket.on('error', () => this.#shim.destroy());
    socket.once('close', () => this.#shim.destroySoon());
    socket.on('drain', () => this.#shim.resume());
    if (this.#gone.signal.aborted) {
      this.#leave();
      return;
    }
    for (const frame of this.#early.splice(0)) this.#carry(api, frame);
    socket.pipe(this.#shim);
    if (!socket.writableNeedDrain) this.#shim.resume();
  }

  #carry({ socket }: PeerSocket, { type, payload }: Frame): void {
    if (type === API_FRAME.end) socket.end();
    else if (type !== API_FRAME.data) throw new RangeError(`a frame of type ${type}`);
    else if (!socket.writableEnded && !socket.write(payload)) this.#shim.pause();
  }

  /** In the API's own form, as the client waits for an answer of it. */
  #refuse(error: unknown): void {
    if (this.#shim.destroyed) return;
    const { reason, message } = asAtollError(error);
    const body = `${JSON.stringify({ message })}\n`;
    this.#shim.resume();
    this.#shim.end(
      `HTTP/1.1 ${httpStatusOf(reason)} Refused\r\nContent-Type: application/json\r\nConnection: close\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  }

  /**
   * A client that has ended both ways must not look like one that waits for an answer, so the gateway gets a reset; and no end before
   * it, for after an end it would not look any more until it has something to write.
   */
  #leave(): void {
    this.#gone.abort(new DOMException('the client went away', 'AbortError'));
    const api = this.#api;
    if (!api || api.socket.destroyed) return;
    api.socket.resume();
    setTimeout(() => api.reset(), LAST_BYTES_MS).unref();
  }
}

import type { Socket } from 'node:net';
import { encodeFrame, type Frame, FrameParser } from '../../runtime/frames.ts';
import { framed } from './forwarder.ts';
import { ServiceChannel, type ServiceSource } from './service-channel.ts';

/** Frames between a shim's relay and the agent, see `native/src/dns-relay.h`; all but hello begin with a u32 that names the asker. */
export const RELAY_FRAME = { hello: 1, datagram: 2, stream: 3, streamEnd: 4, services: 5 } as const;

/** What answers; undefined is no answer. Must not reject. */
export interface Answerer {
  answer(
    containerId: string,
    message: Buffer,
    stream: boolean,
    isTranslated: (address: string) => boolean,
  ): Promise<Buffer | undefined>;
}

/** Of one container at the same time; what is more gets no answer, and is asked again. */
const MAX_IN_FLIGHT = 64;
const MAX_STREAM_BYTES = 2 + 65_535;
/** An answer on a stream may be longer than a frame; one in a datagram never is. */
const PIECE_BYTES = 32_768;
const STREAM_IDLE_MS = 10_000;
/** A relay that takes no answers is hung up on. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;
const ID = /^[0-9a-f]{64}$/;

interface Stream {
  received: Buffer;
  timer: NodeJS.Timeout;
}

/** The questions of one container, and what it is told of services. */
export class RelayConnection {
  readonly #socket: Socket;
  readonly #answerer: Answerer;
  readonly #source: ServiceSource;
  readonly #streams = new Map<number, Stream>();
  #id = '';
  #services: ServiceChannel | undefined;
  #inFlight = 0;

  constructor(socket: Socket, answerer: Answerer, source: ServiceSource) {
    this.#socket = socket;
    this.#answerer = answerer;
    this.#source = source;
    const parser = new FrameParser();
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const frame of parser.push(chunk)) this.#receive(frame);
      } catch {
        socket.destroy();
      }
    });
  }

  /** Empty before the first frame. */
  get containerId(): string {
    return this.#id;
  }

  /** Services of the container may have changed. */
  refreshServices(): void {
    this.#services?.refresh();
  }

  close(): void {
    this.#services?.close();
    for (const { timer } of this.#streams.values()) clearTimeout(timer);
    this.#streams.clear();
  }

  #receive({ type, payload }: Frame): void {
    if (type === RELAY_FRAME.hello) {
      const id = payload.toString('latin1');
      if (!ID.test(id) || this.#id !== '') throw new RangeError('a relay that is of no container');
      this.#id = id;
      this.#services = new ServiceChannel(id, this.#source, (list) =>
        this.#send(RELAY_FRAME.services, 0, list, list.length),
      );
      this.#services.refresh();
      return;
    }
    const asker = payload.readUInt32LE(0);
    const bytes = payload.subarray(4);
    if (type === RELAY_FRAME.datagram) this.#ask(asker, RELAY_FRAME.datagram, Buffer.from(bytes));
    else if (type === RELAY_FRAME.stream) this.#takeStream(asker, bytes);
    else if (type === RELAY_FRAME.streamEnd) this.#forget(asker);
    else if (type === RELAY_FRAME.services) this.#services?.answered(bytes.readUInt32LE(0));
  }

  #takeStream(asker: number, bytes: Buffer): void {
    const stream = this.#streams.get(asker) ?? { received: Buffer.alloc(0), timer: this.#idle(asker) };
    this.#streams.set(asker, stream);
    stream.timer.refresh();
    stream.received = Buffer.concat([stream.received, bytes]);
    while (stream.received.length >= 2) {
      const end = 2 + stream.received.readUInt16BE(0);
      if (stream.received.length < end) break;
      this.#ask(asker, RELAY_FRAME.stream, Buffer.from(stream.received.subarray(2, end)));
      stream.received = stream.received.subarray(end);
    }
    if (stream.received.length > MAX_STREAM_BYTES) this.#end(asker);
  }

  #ask(asker: number, type: number, message: Buffer): void {
    const services = this.#services;
    if (!services || this.#inFlight >= MAX_IN_FLIGHT) return;
    const stream = type === RELAY_FRAME.stream;
    this.#inFlight++;
    void services
      .settled()
      .then(() => this.#answerer.answer(this.#id, message, stream, (address) => services.translates(address)))
      .then((answer) => {
        this.#inFlight--;
        if (answer) this.#send(type, asker, stream ? framed(answer) : answer);
      });
  }

  #idle(asker: number): NodeJS.Timeout {
    return setTimeout(() => this.#end(asker), STREAM_IDLE_MS).unref();
  }

  #end(asker: number): void {
    this.#forget(asker);
    this.#send(RELAY_FRAME.streamEnd, asker, Buffer.alloc(0));
  }

  #forget(asker: number): void {
    clearTimeout(this.#streams.get(asker)?.timer);
    this.#streams.delete(asker);
  }

  #send(type: number, asker: number, bytes: Buffer, pieceBytes = PIECE_BYTES): void {
    if (this.#socket.destroyed) return;
    if (this.#socket.writableLength > MAX_BUFFERED_BYTES) {
      this.#socket.destroy();
      return;
    }
    const name = Buffer.alloc(4);
    name.writeUInt32LE(asker);
    for (let at = 0; at === 0 || at < bytes.length; at += pieceBytes) {
      this.#socket.write(encodeFrame(type, Buffer.concat([name, bytes.subarray(at, at + pieceBytes)])));
    }
  }
}

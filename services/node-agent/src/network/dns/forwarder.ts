import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { deadlineExceeded, resourceExhausted, unavailable } from '@atoll/errors';
import { answers, isTruncated } from './dns-message.ts';

export interface ForwarderOptions {
  readonly port?: number;
  /** For all servers together, and for one of them. */
  readonly deadlineMs?: number;
  readonly serverMs?: number;
  readonly maxInFlight?: number;
}

/** Asks the host's resolvers what is not a name of a network. */
export class Forwarder {
  readonly #port: number;
  readonly #deadlineMs: number;
  readonly #serverMs: number;
  readonly #maxInFlight: number;
  #inFlight = 0;

  constructor(options: ForwarderOptions = {}) {
    this.#port = options.port ?? 53;
    this.#deadlineMs = options.deadlineMs ?? 8_000;
    this.#serverMs = options.serverMs ?? 2_500;
    this.#maxInFlight = options.maxInFlight ?? 512;
  }

  /**
   * The answer of the first server that gives one, with the query's id; over TCP when a datagram does not hold it. Throws
   * resource-exhausted when too much is asked at once, unavailable or deadline-exceeded when no server answers.
   */
  async ask(query: Buffer, servers: readonly string[]): Promise<Buffer> {
    if (this.#inFlight >= this.#maxInFlight)
      throw resourceExhausted(`${this.#inFlight} names are being asked for already`);
    const deadline = AbortSignal.timeout(this.#deadlineMs);
    this.#inFlight++;
    try {
      for (const server of servers) {
        const signal = AbortSignal.any([deadline, AbortSignal.timeout(this.#serverMs)]);
        try {
          return await this.#askOne(query, server, signal);
        } catch (error) {
          if (deadline.aborted) throw deadlineExceeded('no name server answered in time', { cause: error });
        }
      }
      throw unavailable(servers.length === 0 ? 'this host has no name server' : 'no name server answers');
    } finally {
      this.#inFlight--;
    }
  }

  async #askOne(query: Buffer, server: string, signal: AbortSignal): Promise<Buffer> {
    // An id and a port of our own: what a container chose must not be guessed by whoever forges answers.
    const own = Buffer.from(query);
    own.writeUInt16BE(randomInt(65_536), 0);
    let answer = await this.#datagram(own, server, signal);
    if (isTruncated(answer)) answer = await this.#stream(own, server, signal).catch(() => answer);
    const mine = Buffer.from(answer);
    query.copy(mine, 0, 0, 2);
    return mine;
  }

  #datagram(query: Buffer, server: string, signal: AbortSignal): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const socket = createSocket(isIPv6(server) ? 'udp6' : 'udp4');
      const done = (act: () => void): void => {
        signal.removeEventListener('abort', abort);
        socket.close();
        act();
      };
      const abort = (): void => done(() => reject(signal.reason));
      signal.addEventListener('abort', abort, { once: true });
      socket.once('error', (error) => done(() => reject(error)));
      socket.on('message', (message) => {
        if (answers(message, query)) done(() => resolve(message));
      });
      // Connected: only this server's datagrams arrive, and its refusal is an error.
      socket.connect(this.#port, server, () => socket.send(query));
    });
  }

  #stream(query: Buffer, server: string, signal: AbortSignal): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: server, port: this.#port });
      let received = Buffer.alloc(0);
      const done = (act: () => void): void => {
        signal.removeEventListener('abort', abort);
        socket.destroy();
        act();
      };
      const abort = (): void => done(() => reject(signal.reason));
      signal.addEventListener('abort', abort, { once: true });
      socket.on('error', (error) => done(() => reject(error)));
      socket.on('close', () => done(() => reject(unavailable('the name server hung up'))));
      socket.on('data', (piece) => {
        received = Buffer.concat([received, piece]);
        if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
        const message = received.subarray(2, 2 + received.readUInt16BE(0));
        done(() => (answers(message, query) ? resolve(message) : reject(unavailable('an answer to something else'))));
      });
      socket.write(framed(query));
    });
  }
}

/** The two bytes of length that go before a message on a stream (RFC 1035, 4.2.2). */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

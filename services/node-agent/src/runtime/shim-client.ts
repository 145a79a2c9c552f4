import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { unavailable } from '@atoll/errors';
import { type EndpointsPlan, encodeEndpoints } from './endpoints-plan.ts';
import { encodeFrame, FRAME, type Frame, FrameParser } from './frames.ts';
import type { ResourceLimits } from './plan.ts';
import { encodeLimits } from './plan-encoder.ts';
import { decodeReply, shimError } from './shim-failure.ts';
import { connectShim } from './shim-socket.ts';
import { decodeState, type ShimState } from './shim-state.ts';

/** Longer than a shim takes to give up a preparation: 15 s for the bundle, 60 s for the container, 2 s to take it down. */
const LEAVE_MS = 80_000;

interface Pending {
  readonly context: string;
  readonly resolve: (state: ShimState | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One control connection to a container's shim: requests, answered in order, and state changes.
 * Streams of the process are not here: see `attachShim`. The shim lives on when the client goes.
 */
export class ShimClient implements Disposable {
  readonly #socket: Socket;
  readonly #pending: Pending[] = [];
  readonly #onState: (state: ShimState) => void;
  #prepared: Buffer | undefined;
  /** Resolves when the connection is over: the shim has ended, or `close` was called. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket, onState: (state: ShimState) => void) {
    this.#socket = socket;
    this.#onState = onState;
    const parser = new FrameParser();
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const frame of parser.push(chunk)) this.#receive(frame);
      } catch (error) {
        socket.destroy(error instanceof Error ? error : undefined);
      }
    });
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        const error = unavailable('the connection to the shim is over');
        for (const pending of this.#pending.splice(0)) pending.reject(error);
        resolve();
      });
    });
  }

  /**
   * `onState` gets the present state first, then each change, the exit last. It must not throw.
   * Throws `unavailable` when no shim answers in the bundle.
   */
  static async connect(bundle: string, onState: (state: ShimState) => void, signal: AbortSignal): Promise<ShimClient> {
    const client = new ShimClient(await connectShim(bundle, signal), onState);
    await client.#ask(FRAME.subscribe, undefined, 'subscribe to the shim', signal);
    return client;
  }

  /**
   * Sends what is to be launched over a fresh connection; resolves once it is prepared. A rejection, also by an abort, comes when
   * the shim has hung up: then nothing is left of the container.
   */
  static async launch(
    socket: Socket,
    request: { readonly before: Buffer; readonly plan: Uint8Array },
    onState: (state: ShimState) => void,
    signal: AbortSignal,
  ): Promise<ShimClient> {
    const client = new ShimClient(socket, onState);
    try {
      socket.cork();
      socket.write(request.before);
      const answers = Promise.all([
        client.#ask(FRAME.plan, request.plan, 'prepare the container', signal),
        client.#ask(FRAME.subscribe, undefined, 'subscribe to the shim', signal),
      ]);
      socket.uncork();
      await answers;
      return client;
    } catch (error) {
      await client.#leave();
      throw error;
    }
  }

  /** What the shim says of the container it has launched for this client. */
  get prepared(): Buffer {
    if (!this.#prepared) throw unavailable('the shim has not said what it prepared');
    return this.#prepared;
  }

  async state(signal: AbortSignal): Promise<ShimState> {
    const state = await this.#ask(FRAME.state, undefined, 'read the state', signal);
    if (state === undefined) throw unavailable('the shim answered without a state');
    return state;
  }

  /** Lets the prepared process exec. Fails with `details.exitCode` 126 or 127 when it cannot. */
  async start(signal: AbortSignal): Promise<void> {
    await this.#ask(FRAME.start, undefined, 'start the container', signal);
  }

  /** Sends a signal to the container's first process, or to every process in its cgroup. */
  async kill(number: number, target: 'init' | 'all', signal: AbortSignal): Promise<void> {
    const payload = Buffer.alloc(5);
    payload.writeUInt32LE(number, 0);
    payload.writeUInt8(target === 'all' ? 1 : 0, 4);
    await this.#ask(FRAME.kill, payload, 'signal the container', signal);
  }

  async pause(signal: AbortSignal): Promise<void> {
    await this.#ask(FRAME.pause, undefined, 'pause the container', signal);
  }

  async unpause(signal: AbortSignal): Promise<void> {
    await this.#ask(FRAME.unpause, undefined, 'unpause the container', signal);
  }

  async update(limits: ResourceLimits, signal: AbortSignal): Promise<void> {
    await this.#ask(FRAME.update, encodeLimits(limits), 'update the container', signal);
  }

  /** Brings the links of networks to what the plan says, prepared or running. Safe to repeat, also after a failure. */
  async connectNetworks(plan: EndpointsPlan, signal: AbortSignal): Promise<void> {
    await this.#ask(FRAME.connect, encodeEndpoints(plan), "change the container's networks", signal);
  }

  /** Ends a shim whose container was never started; everything it prepared is taken down. */
  async shutdown(signal: AbortSignal): Promise<void> {
    await this.#ask(FRAME.shutdown, undefined, 'take the container down', signal);
  }

  close(): void {
    this.#socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #leave(): Promise<void> {
    this.#socket.end();
    const late = new AbortController();
    await Promise.race([this.closed, sleep(LEAVE_MS, undefined, { signal: late.signal }).catch(() => undefined)]);
    late.abort();
    this.close();
  }

  #ask(
    type: number,
    payload: Uint8Array | undefined,
    context: string,
    signal: AbortSignal,
  ): Promise<ShimState | undefined> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (this.#socket.destroyed) return reject(unavailable('the connection to the shim is over'));
      // An abandoned request keeps its place, so that later answers still find theirs.
      const abandon = (): void => reject(signal.reason);
      signal.addEventListener('abort', abandon, { once: true });
      const settle = (): void => signal.removeEventListener('abort', abandon);
      this.#pending.push({
        context,
        resolve: (state) => {
          settle();
          resolve(state);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      this.#socket.write(encodeFrame(type, payload), () => {});
    });
  }

  #receive(frame: Frame): void {
    if (frame.type === FRAME.stateIs || frame.type === FRAME.exit) {
      this.#onState(decodeState(frame.payload));
      return;
    }
    if (frame.type === FRAME.prepared) this.#prepared = frame.payload;
    if (frame.type !== FRAME.reply) return;
    const { failure, state } = decodeReply(frame.payload);
    const pending = this.#pending.shift();
    if (failure === undefined) pending?.resolve(state);
    else pending?.reject(shimError(failure, pending.context));
  }
}

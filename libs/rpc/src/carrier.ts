import { invalidArgument, resourceExhausted } from '@atoll/errors';
import type { callV1 } from '@atoll/proto';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { CANCELLED, failureOf, toStatus } from './status.ts';

export type CarrierCall = ServerDuplexStream<callV1.CarryRequest, callV1.CarryResponse>;

/**
 * Runs one call; the answer is encoded. One with a stream of answers gives them to `item` and answers nothing at its end. What it
 * throws becomes the call's failure.
 */
export type RunCarried = (begin: callV1.Begin, life: AbortController, item: (bytes: Buffer) => void) => Promise<Buffer>;

/** Calls of one caller at a time: stops of thousands of containers wait for their ends side by side. */
const MAX_CALLS = 16_384;
/** Items of one call: a carrier has no backpressure for each of its calls. */
export const MAX_ITEMS = 16;

/** The server's end of a carrier. */
export class Carrier {
  readonly #call: CarrierCall;
  readonly #run: RunCarried;
  readonly #lives = new Map<number, AbortController>();
  #ending = false;

  constructor(call: CarrierCall, run: RunCarried) {
    this.#call = call;
    this.#run = run;
    call.on('data', (request: callV1.CarryRequest) => this.#hear(request));
    call.on('end', () => this.end());
    const gone = (): void => this.#abortAll();
    call.on('cancelled', gone);
    call.on('error', gone);
    call.on('close', gone);
  }

  /** Takes no more calls and ends once those under way are answered. */
  end(): void {
    this.#ending = true;
    if (this.#lives.size === 0) this.#call.end();
  }

  #hear({ callId, message }: callV1.CarryRequest): void {
    if (message?.$case === 'cancel') {
      this.#lives.get(callId)?.abort(CANCELLED);
      return;
    }
    if (message === undefined || this.#lives.has(callId)) {
      this.#call.emit('error', toStatus(invalidArgument(`call ${callId} is under way already or says nothing`)));
      return;
    }
    if (this.#lives.size >= MAX_CALLS) {
      this.#fail(callId, resourceExhausted(`${MAX_CALLS} calls of this caller are under way; try again`));
      return;
    }
    const life = new AbortController();
    this.#lives.set(callId, life);
    let items = 0;
    const item = (value: Buffer): void => {
      if (++items > MAX_ITEMS) throw resourceExhausted(`a carried call has ${MAX_ITEMS} answers at most`);
      this.#answer(callId, { $case: 'item', value });
    };
    this.#run(message.value, life, item)
      .then(
        (value) => this.#answer(callId, { $case: 'answer', value }),
        (error: unknown) => this.#fail(callId, error),
      )
      .finally(() => {
        this.#lives.delete(callId);
        if (this.#ending) this.end();
      });
  }

  #fail(callId: number, error: unknown): void {
    this.#answer(callId, { $case: 'failure', value: failureOf(error) });
  }

  #answer(callId: number, message: callV1.CarryResponse['message']): void {
    if (!this.#call.writable) return;
    if (this.#call.write({ callId, message }) || this.#call.isPaused()) return;
    // A caller that does not take its answers off gets no more of them.
    this.#call.pause();
    this.#call.once('drain', () => this.#call.resume());
  }

  #abortAll(): void {
    for (const life of this.#lives.values()) life.abort(CANCELLED);
  }
}

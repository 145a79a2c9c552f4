import { type AtollError, cancelled, deadlineExceeded, internal, unavailable } from '@atoll/errors';
import type { callV1 } from '@atoll/proto';
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { AsyncQueue } from './async-queue.ts';
import { MAX_ITEMS } from './carrier.ts';
import type { AnyMethod, CallOptions } from './definition.ts';
import { fromFailure, fromStatus } from './status.ts';

export type CarrierStream = ClientDuplexStream<callV1.CarryRequest, callV1.CarryResponse>;

// biome-ignore lint/suspicious/noExplicitAny: the channel types the messages
type Any = any;

/** What a call does with what it is told. */
interface Listener {
  item?(bytes: Buffer): void;
  answer(bytes: Buffer): void;
  fail(error: unknown): void;
}

const CALL_IDS = 2 ** 32;

/** The caller's end of a carrier: calls as messages on one stream, opened when first needed and again after it was lost. */
export class CarriedCalls {
  readonly #open: () => CarrierStream;
  readonly #pending = new Map<number, (message: callV1.CarryResponse['message'], lost?: AtollError) => void>();
  #stream: CarrierStream | undefined;
  #lastId = 0;

  constructor(open: () => CarrierStream) {
    this.#open = open;
  }

  /** Errors: as of a call of its own. */
  single(method: AnyMethod, request: Any, options: CallOptions): Promise<Any> {
    return new Promise((resolve, reject) => {
      this.#begin(method, request, options, {
        answer: (bytes) => resolve(method.responseDeserialize(bytes)),
        fail: reject,
      });
    });
  }

  /** Leaving the loop early cancels the call. Errors: as of a call of its own. */
  async *stream(method: AnyMethod, request: Any, options: CallOptions): AsyncGenerator<Any> {
    const items = new AsyncQueue<Any>(MAX_ITEMS);
    const cancel = this.#begin(method, request, options, {
      item: (bytes) => void items.push(method.responseDeserialize(bytes)),
      answer: () => items.end(),
      fail: (error) => items.end(error),
    });
    try {
      yield* items;
    } finally {
      cancel();
    }
  }

  /** The answer cancels what is not over yet. */
  #begin(method: AnyMethod, request: Any, { signal, timeoutMs = 0 }: CallOptions, listener: Listener): () => void {
    if (signal?.aborted) {
      listener.fail(signal.reason);
      return () => undefined;
    }
    const stream = this.#connected();
    const callId = this.#nextId();
    const over = (): boolean => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      return this.#pending.delete(callId);
    };
    const giveUp = (reason: unknown): void => {
      if (!over()) return;
      stream.write({ callId, message: { $case: 'cancel', value: {} } });
      listener.fail(reason);
    };
    const onAbort = (): void => giveUp(signal?.reason);
    const late = (): void => giveUp(deadlineExceeded(`no answer within ${timeoutMs} ms`));
    const timer = timeoutMs > 0 ? setTimeout(late, timeoutMs) : undefined;
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#pending.set(callId, (message, lost) => {
      if (message?.$case === 'item') return listener.item?.(message.value);
      over();
      if (message?.$case === 'answer') listener.answer(message.value);
      else if (message?.$case === 'failure') listener.fail(fromFailure(message.value));
      else listener.fail(lost ?? internal('the server gave neither an answer nor an error'));
    });
    const value = { method: method.path, request: method.requestSerialize(request), timeoutMs };
    stream.write({ callId, message: { $case: 'begin', value } });
    return () => giveUp(cancelled('the call was left'));
  }

  #connected(): CarrierStream {
    if (this.#stream) return this.#stream;
    const stream = this.#open();
    this.#stream = stream;
    stream.on('data', ({ callId, message }: callV1.CarryResponse) => this.#pending.get(callId)?.(message));
    stream.on('error', (error: ServiceError) => this.#lost(stream, fromStatus(error)));
    stream.on('end', () => this.#lost(stream, unavailable('the server took no more calls; try again')));
    return stream;
  }

  #lost(stream: CarrierStream, error: AtollError): void {
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    stream.end();
    for (const tell of [...this.#pending.values()]) tell(undefined, error);
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId + 1) % CALL_IDS;
    while (this.#pending.has(this.#lastId));
    return this.#lastId;
  }
}

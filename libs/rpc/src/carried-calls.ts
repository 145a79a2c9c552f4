import { type AtollError, cancelled, deadlineExceeded, internal, unavailable } from '@atoll/errors';
import type { callV1 } from '@atoll/proto';
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import type { AnyMethod, CallOptions } from './definition.ts';
import { fromFailure, fromStatus } from './status.ts';

export type CarrierStream = ClientDuplexStream<callV1.CarryRequest, callV1.CarryResponse>;

interface Pending {
  answered(message: callV1.CarryResponse['message']): void;
  failed(error: unknown): void;
}

const CALL_IDS = 2 ** 32;

/** The caller's end of a carrier: calls as messages on one stream, opened when first needed and again after it was lost. */
export class CarriedCalls {
  readonly #open: () => CarrierStream;
  readonly #pending = new Map<number, Pending>();
  #stream: CarrierStream | undefined;
  #lastId = 0;

  constructor(open: () => CarrierStream) {
    this.#open = open;
  }

  /** Errors: as of a call of its own. */
  // biome-ignore lint/suspicious/noExplicitAny: the channel types the messages
  call(method: AnyMethod, request: any, timeoutMs: number, { signal }: CallOptions): Promise<any> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const stream = this.#connected();
      const callId = this.#nextId();
      const over = (): void => {
        this.#pending.delete(callId);
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      const giveUp = (reason: unknown): void => {
        over();
        stream.write({ callId, message: { $case: 'cancel', value: {} } });
        reject(reason);
      };
      const onAbort = (): void => giveUp(signal?.reason ?? cancelled('the call was cancelled'));
      const late = (): void => giveUp(deadlineExceeded(`no answer within ${timeoutMs} ms`));
      const timer = setTimeout(late, timeoutMs);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#pending.set(callId, {
        answered: (message) => {
          over();
          if (message?.$case === 'answer') resolve(method.responseDeserialize(message.value));
          else reject(message === undefined ? internal('the server gave no answer') : fromFailure(message.value));
        },
        failed: (error) => {
          over();
          reject(error);
        },
      });
      const begin = { method: method.path, request: method.requestSerialize(request), timeoutMs };
      stream.write({ callId, message: { $case: 'begin', value: begin } });
    });
  }

  #connected(): CarrierStream {
    if (this.#stream) return this.#stream;
    const stream = this.#open();
    this.#stream = stream;
    stream.on('data', ({ callId, message }: callV1.CarryResponse) => this.#pending.get(callId)?.answered(message));
    stream.on('error', (error: ServiceError) => this.#lost(stream, fromStatus(error)));
    stream.on('end', () => this.#lost(stream, unavailable('the server took no more calls; try again')));
    return stream;
  }

  #lost(stream: CarrierStream, error: AtollError): void {
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    stream.end();
    for (const pending of [...this.#pending.values()]) pending.failed(error);
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId + 1) % CALL_IDS;
    while (this.#pending.has(this.#lastId));
    return this.#lastId;
  }
}

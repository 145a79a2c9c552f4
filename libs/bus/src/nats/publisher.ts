import { unavailable } from '@atoll/errors';
import { JetStreamApiError } from '@nats-io/jetstream';
import { createInbox, type Msg, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';

type ApiError = ConstructorParameters<typeof JetStreamApiError>[0];

interface Pending {
  readonly resolve: (sequence: number) => void;
  readonly reject: (error: unknown) => void;
  readonly deadline: number;
}

/** A message at the end of a stream. */
export type Publish = (subject: string, value: Uint8Array, headers?: MsgHdrs) => Promise<number>;

/**
 * Publishes to streams and waits for the acknowledgement. Every container costs several of these: one inbox, one timer and one look at
 * the connection serve them all, where the library's request makes a timer, an error with its stack and two races for each.
 */
export class Publisher {
  readonly #connection: NatsConnection;
  readonly #timeoutMs: number;
  readonly #prefix = `${createInbox()}.`;
  /** In the order of their deadlines, for all have the same time. */
  readonly #pending = new Map<string, Pending>();
  #count = 0;
  #timer: NodeJS.Timeout | undefined;
  #listening = false;

  constructor(connection: NatsConnection, timeoutMs: number) {
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * The sequence the message has in its stream. Errors: unavailable when no answer comes in time or the connection is lost first (the
   * message may have been stored), JetStreamApiError for what the server refuses.
   */
  readonly publish: Publish = (subject, value, headers) =>
    new Promise((resolve, reject) => {
      this.#listen();
      const token = (++this.#count).toString(36);
      const options =
        headers === undefined ? { reply: this.#prefix + token } : { reply: this.#prefix + token, headers };
      this.#connection.publish(subject, value, options);
      this.#pending.set(token, { resolve, reject, deadline: performance.now() + this.#timeoutMs });
      this.#timer ??= this.#tick(this.#timeoutMs);
    });

  /** No answer to what was asked so far will come any more. */
  lost(): void {
    const asked = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of asked) reject(unavailable('the NATS connection was lost before the answer came'));
  }

  #listen(): void {
    if (this.#listening) return;
    this.#connection.subscribe(`${this.#prefix}*`, { callback: (_error, message) => this.#answered(message) });
    this.#listening = true;
  }

  #answered(message: Msg): void {
    const token = message.subject.slice(this.#prefix.length);
    const pending = this.#pending.get(token);
    if (pending === undefined) return;
    this.#pending.delete(token);
    if (message.data.length === 0) {
      const why = message.headers?.code === 503 ? 'no stream takes it' : 'the answer is empty';
      pending.reject(unavailable(`the message was not stored: ${why}`));
      return;
    }
    const { seq, error } = message.json<{ seq?: number; error?: ApiError }>();
    if (error !== undefined) pending.reject(new JetStreamApiError(error));
    else if (seq === undefined) pending.reject(unavailable('the message was not stored: the answer has no sequence'));
    else pending.resolve(seq);
  }

  #tick(afterMs: number): NodeJS.Timeout {
    return setTimeout(() => this.#expire(), afterMs).unref();
  }

  #expire(): void {
    const now = performance.now();
    this.#timer = undefined;
    for (const [token, { deadline, reject }] of this.#pending) {
      if (deadline > now) {
        this.#timer = this.#tick(deadline - now);
        return;
      }
      this.#pending.delete(token);
      reject(unavailable(`the state store did not answer within ${this.#timeoutMs} ms`));
    }
  }
}

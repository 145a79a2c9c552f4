import { AtollError, type ErrorReason, internal, resourceExhausted, unavailable } from '@atoll/errors';
import { reasonOfGrpcCode } from '@atoll/errors/grpc';
import type { networkV1, nodeV1 } from '@atoll/proto';
import { AsyncQueue } from '@atoll/rpc';

const MAX_QUEUED = 8_192;
const MAX_PENDING = 8_192;

/** What an agent is to do; the session adds id and epoch. */
export type OrderInput = Partial<Omit<nodeV1.Order, 'orderId' | 'epoch'>> & Pick<nodeV1.Order, 'action' | 'record'>;

export interface OrderWait {
  /** Ends the wait, not the order: what was sent is sent. */
  readonly signal?: AbortSignal;
  /** Milliseconds; undefined waits as long as the session lives. */
  readonly timeoutMs: number | undefined;
  /** Hears how far a long order is: bytes. */
  readonly onProgress?: (bytes: bigint) => void;
}

interface Pending {
  readonly resolve: (result: nodeV1.OrderResult) => void;
  readonly reject: (error: unknown) => void;
  readonly onProgress: ((bytes: bigint) => void) | undefined;
}

/** One agent's session: the orders on their way to it and those it has not answered. */
export class NodeSession {
  readonly nodeId: string;
  readonly outbox = new AsyncQueue<nodeV1.SessionResponse>(MAX_QUEUED);
  readonly #epoch: bigint;
  readonly #nextOrderId: () => bigint;
  readonly #pending = new Map<bigint, Pending>();
  /** Of what was told of networks, by number: whom to call when the host has followed. */
  readonly #following = new Map<bigint, () => void>();
  #lastSeq = 0n;
  #ended: AtollError | undefined;

  constructor(nodeId: string, epoch: bigint, nextOrderId: () => bigint) {
    this.nodeId = nodeId;
    this.#epoch = epoch;
    this.#nextOrderId = nextOrderId;
  }

  send(message: NonNullable<nodeV1.SessionResponse['message']>): void {
    if (this.outbox.push({ message })) return;
    this.end(resourceExhausted(`host ${this.nodeId} does not take its orders off: its session is closed`));
  }

  /**
   * Sends an order and waits for its result.
   * Errors: the agent's own refusal, as it classed it; unavailable when the session ends first (the order may have been done);
   * deadline-exceeded when the agent does not answer in time.
   */
  async order(input: OrderInput, wait: OrderWait): Promise<nodeV1.OrderResult> {
    if (this.#ended) throw this.#ended;
    wait.signal?.throwIfAborted();
    if (this.#pending.size >= MAX_PENDING) throw resourceExhausted(`host ${this.nodeId} has too many orders open`);
    const orderId = this.#nextOrderId();
    let timer: NodeJS.Timeout | undefined;
    let onAbort = (): void => {};
    try {
      const result = await new Promise<nodeV1.OrderResult>((resolve, reject) => {
        this.#pending.set(orderId, { resolve, reject, onProgress: wait.onProgress });
        onAbort = () => reject(wait.signal?.reason);
        wait.signal?.addEventListener('abort', onAbort, { once: true });
        if (wait.timeoutMs !== undefined) timer = setTimeout(() => reject(this.#late(wait.timeoutMs)), wait.timeoutMs);
        const { action, record, signal = '', timeoutSeconds, force = false, volumes = false } = input;
        const { volume = '', volumeOrder } = input;
        const what = { action, record, signal, timeoutSeconds, force, volumes, volume, volumeOrder };
        this.send({ $case: 'order', value: { ...what, orderId, epoch: this.#epoch } });
      });
      if (result.code !== 0) throw refusalOf(result);
      return result;
    } finally {
      clearTimeout(timer);
      wait.signal?.removeEventListener('abort', onAbort);
      this.#pending.delete(orderId);
    }
  }

  /** Tells of a network. Resolves when the host has followed, or its session has ended; at once when it owes too many answers. */
  async tellNetwork(state: networkV1.NetworkState): Promise<void> {
    if (this.#ended) return;
    if (this.#following.size >= MAX_PENDING) return this.send({ $case: 'network', value: state });
    const seq = ++this.#lastSeq;
    const followed = new Promise<void>((resolve) => this.#following.set(seq, resolve));
    this.send({ $case: 'network', value: { ...state, seq } });
    await followed;
  }

  followed({ seq }: nodeV1.NetworkFollowed): void {
    this.#following.get(seq)?.();
    this.#following.delete(seq);
  }

  /** An agent's answer; one nobody waits for any more is dropped. */
  settle(result: nodeV1.OrderResult): void {
    this.#pending.get(result.orderId)?.resolve(result);
  }

  progress({ orderId, bytes }: nodeV1.OrderProgress): void {
    this.#pending.get(orderId)?.onProgress?.(bytes);
  }

  end(error: AtollError): void {
    if (this.#ended) return;
    this.#ended = error;
    this.outbox.end(error);
    const lost = unavailable(`the session with host ${this.nodeId} ended before it answered: ${error.message}`, {
      cause: error,
    });
    for (const pending of this.#pending.values()) pending.reject(lost);
    this.#pending.clear();
    for (const wake of this.#following.values()) wake();
    this.#following.clear();
  }

  #late(timeoutMs: number | undefined): AtollError {
    return new AtollError('deadline-exceeded', `host ${this.nodeId} did not answer an order within ${timeoutMs} ms`);
  }
}

const REASONS: ReadonlySet<string> = new Set<ErrorReason>([
  'invalid-argument', 'unauthenticated', 'permission-denied', 'not-found', 'already-exists', 'conflict',
  'failed-precondition', 'resource-exhausted', 'out-of-range', 'unimplemented', 'unavailable',
  'deadline-exceeded', 'cancelled', 'data-loss', 'internal',
]); // biome-ignore format: one glance

/** The class the agent named, else the one its gRPC code stands for. */
function refusalOf(result: nodeV1.OrderResult): AtollError {
  if (result.message === '' && result.reason === '') return internal(`an order failed with code ${result.code}`);
  const reason = REASONS.has(result.reason) ? (result.reason as ErrorReason) : reasonOfGrpcCode(result.code);
  return new AtollError(reason, result.message);
}

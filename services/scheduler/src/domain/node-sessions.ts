import { type AtollError, unavailable } from '@atoll/errors';
import type { nodeV1 } from '@atoll/proto';
import { NodeSession, type OrderInput, type OrderWait } from './node-session.ts';

/** How long an order waits for an agent that is reconnecting. */
const CONNECT_WAIT_MS = 5_000;

/** The live sessions of a term, one a node. */
export class NodeSessions {
  readonly #epoch: bigint;
  readonly #hostname: (nodeId: string) => string;
  readonly #sessions = new Map<string, NodeSession>();
  readonly #waiters = new Map<string, Set<(session: NodeSession) => void>>();
  #lastOrderId = 0n;

  constructor(epoch: bigint, hostname: (nodeId: string) => string) {
    this.#epoch = epoch;
    this.#hostname = hostname;
  }

  get(nodeId: string): NodeSession | undefined {
    return this.#sessions.get(nodeId);
  }

  all(): Iterable<NodeSession> {
    return this.#sessions.values();
  }

  /** A new session takes the place of an older one of the same node. It is found by orders only after `open`. */
  create(nodeId: string): NodeSession {
    return new NodeSession(nodeId, this.#epoch, () => ++this.#lastOrderId);
  }

  open(session: NodeSession): void {
    this.#sessions.get(session.nodeId)?.end(unavailable('the host opened a newer session'));
    this.#sessions.set(session.nodeId, session);
    for (const wake of this.#waiters.get(session.nodeId) ?? []) wake(session);
    this.#waiters.delete(session.nodeId);
  }

  close(session: NodeSession, error: AtollError): void {
    session.end(error);
    if (this.#sessions.get(session.nodeId) === session) this.#sessions.delete(session.nodeId);
  }

  endAll(error: AtollError): void {
    for (const session of this.#sessions.values()) session.end(error);
    this.#sessions.clear();
  }

  /** As NodeSession.order, waiting a little for a node that is connecting. Errors: unavailable when it does not. */
  async order(nodeId: string, input: OrderInput, wait: OrderWait): Promise<nodeV1.OrderResult> {
    const session = this.#sessions.get(nodeId) ?? (await this.#connected(nodeId, wait.signal));
    return session.order(input, wait);
  }

  #connected(nodeId: string, signal: AbortSignal | undefined): Promise<NodeSession> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        const waiting = this.#waiters.get(nodeId);
        waiting?.delete(wake);
        if (waiting?.size === 0) this.#waiters.delete(nodeId);
      };
      const wake = (session: NodeSession): void => {
        finish();
        resolve(session);
      };
      const onAbort = (): void => {
        finish();
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        finish();
        reject(unavailable(`host ${this.#hostname(nodeId)} is not connected; try again when it is back`));
      }, CONNECT_WAIT_MS);
      signal?.addEventListener('abort', onAbort, { once: true });
      const waiting = this.#waiters.get(nodeId);
      if (waiting) waiting.add(wake);
      else this.#waiters.set(nodeId, new Set([wake]));
    });
  }
}

import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { relayPath } from '@atoll/docker-api';
import { AtollError, asAtollError, type ErrorReason, unavailable } from '@atoll/errors';
import { connectPeer, type PeerSocket, type TlsIdentity } from '@atoll/rpc';

/** One may wait that long for what the gateway does not know of the container yet, see its `RelayAccess`. */
const ANSWER_MS = 5_000;
/** A gateway that restarts is back within it. */
const REACH_MS = 10_000;
const PAUSE_MS = 200;
const MAX_REASON_BYTES = 16 * 1024;
/** What a gateway's status means here; all others are worth another try. */
const REASONS: Readonly<Record<number, ErrorReason>> = {
  400: 'invalid-argument',
  403: 'permission-denied',
  404: 'not-found',
  501: 'unimplemented',
};

/** The gateways of the cluster as the scheduler's leader names them, and connections of containers to them. */
export class Gateways {
  readonly #tls: TlsIdentity;
  readonly #reachMs: number;
  #addresses: readonly string[] = [];

  constructor(tls: TlsIdentity, reachMs = REACH_MS) {
    this.#tls = tls;
    this.#reachMs = reachMs;
  }

  /** `host:port` each. The one that worked last stays the first choice. */
  set(addresses: readonly string[]): void {
    const [last] = this.#addresses;
    this.#addresses = last !== undefined && addresses.includes(last) ? first(last, addresses) : addresses;
  }

  /**
   * A connection of a container to the Docker API of any gateway that lives.
   * @throws unavailable when none has answered in 10 s; what the gateway refuses it with
   */
  async connect(containerId: string, signal: AbortSignal): Promise<PeerSocket> {
    const end = performance.now() + this.#reachMs;
    for (;;) {
      let failure = unavailable('the scheduler has named no gateway to this host yet; try again');
      for (const address of this.#addresses) {
        try {
          const connection = await this.#dial(address, containerId, signal);
          this.#addresses = first(address, this.#addresses);
          return connection;
        } catch (error) {
          failure = asAtollError(error);
          if (failure.reason !== 'unavailable') throw failure;
        }
      }
      if (performance.now() > end) throw failure;
      await sleep(PAUSE_MS, undefined, { signal });
    }
  }

  #dial(address: string, containerId: string, signal: AbortSignal): Promise<PeerSocket> {
    const connection = connectPeer(address, this.#tls, 'gateway');
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(late);
        signal.removeEventListener('abort', onAbort);
      };
      const fail = (error: unknown): void => {
        settle();
        connection.reset();
        reject(error);
      };
      const onAbort = (): void => fail(signal.reason);
      const late = setTimeout(() => fail(unavailable(`gateway ${address} does not answer`)), ANSWER_MS);
      const lost = (cause: Error): void => fail(unavailable(`gateway ${address}: ${cause.message}`, { cause }));
      const call = request({
        path: relayPath(containerId),
        headers: { host: 'gateway.atoll', connection: 'Upgrade', upgrade: 'tcp' },
        createConnection: () => connection.socket,
      });
      signal.addEventListener('abort', onAbort, { once: true });
      call.once('upgrade', (_response, _socket, head) => {
        settle();
        if (head.length > 0) connection.socket.unshift(head);
        resolve(connection);
      });
      call.once('response', (response) => {
        const parts: Buffer[] = [];
        let length = 0;
        response.on('data', (part: Buffer) => {
          length += part.length;
          if (length <= MAX_REASON_BYTES) parts.push(part);
        });
        response.once('end', () => {
          const reason = REASONS[response.statusCode ?? 0] ?? 'unavailable';
          fail(new AtollError(reason, messageOf(Buffer.concat(parts)) ?? `gateway ${address} refuses`));
        });
      });
      // Stays, for an error may follow the one that was told.
      call.on('error', lost);
      call.end();
    });
  }
}

function first(address: string, addresses: readonly string[]): readonly string[] {
  return [address, ...addresses.filter((other) => other !== address)];
}

function messageOf(body: Buffer): string | undefined {
  try {
    const { message } = JSON.parse(body.toString()) as { readonly message?: unknown };
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}

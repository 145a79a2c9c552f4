import { callV1 } from '@atoll/proto';
import {
  credentials,
  type CallOptions as GrpcCallOptions,
  Client as GrpcClient,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { CarriedCalls } from './carried-calls.ts';
import { BULK_OPTIONS, CHANNEL_OPTIONS } from './channel-options.ts';
import type { AnyMethod, CallOptions, Client, ClientOptions, ServiceDefinition } from './definition.ts';
import { serverMismatch } from './peer-socket.ts';
import { pump, type Sink } from './pump.ts';
import { CANCELLED, fromStatus } from './status.ts';
import type { Role, TlsIdentity } from './tls-identity.ts';

// biome-ignore lint/suspicious/noExplicitAny: the channel carries messages of every service; client() types them
type Any = any;

const UNARY_TIMEOUT_MS = 30_000;

export interface ChannelOptions {
  /** `host:port`. */
  readonly address: string;
  /** The caller's identity; with only a CA the caller stays anonymous (joining). */
  readonly tls: TlsIdentity | { readonly ca: Buffer };
  /** The server must hold a certificate of this role (and id); its host name is not looked at. */
  readonly serverRole: Role;
  readonly serverId?: string;
  /** For answers of many megabytes: more of them are on their way at a time. */
  readonly bulk?: boolean;
}

/** One HTTP/2 connection to one server, made when first used and made again when lost. */
export class Channel {
  readonly address: string;
  readonly #client: GrpcClient;
  readonly #carried = new CarriedCalls(() => {
    const { path, requestSerialize, responseDeserialize } = callV1.CallServiceService.carry;
    return this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata(), {});
  });

  constructor(options: ChannelOptions) {
    const { address, tls, serverRole, serverId, bulk = false } = options;
    this.address = address;
    const checkServerIdentity = (_host: string, certificate: { subject: unknown }): Error | undefined =>
      serverMismatch(address, certificate, serverRole, serverId);
    const own = 'key' in tls ? tls : undefined;
    const secure = credentials.createSsl(tls.ca, own?.key ?? null, own?.cert ?? null, { checkServerIdentity });
    this.#client = new GrpcClient(address, secure, {
      ...CHANNEL_OPTIONS,
      ...(bulk && BULK_OPTIONS),
      // The process-wide pool would share connections between identities.
      'grpc.use_local_subchannel_pool': 1,
      // Addresses are IPs, which TLS has no server names for; the role is what is checked anyway.
      'grpc.ssl_target_name_override': `${serverRole}.atoll`,
    });
  }

  client<D extends { readonly [K in keyof D]: AnyMethod }>(definition: D, options: ClientOptions<D> = {}): Client<D> {
    const carried = (name: string): boolean =>
      options.carried === 'all' || (options.carried?.includes(name as keyof D) ?? false);
    return Object.fromEntries(
      Object.entries(definition as ServiceDefinition).map(([name, method]) => [
        name,
        this.#call(method, carried(name)),
      ]),
    ) as Client<D>;
  }

  /** Starts to connect, so that the first call need not wait for the handshake. */
  connect(): void {
    this.#client.getChannel().getConnectivityState(true);
  }

  /** Connects, trying again until the time is up. False when there is no connection by then. */
  connected(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      this.#client.waitForReady(Date.now() + timeoutMs, (error) => resolve(error === undefined));
    });
  }

  close(): void {
    this.#client.close();
  }

  #call(method: AnyMethod, carried: boolean): (request: Any, options?: CallOptions) => Any {
    if (carried && !method.requestStream) {
      const calls = this.#carried;
      if (method.responseStream) return (request, options = {}) => calls.stream(method, request, options);
      return (request, options = {}) => calls.single(method, request, { timeoutMs: UNARY_TIMEOUT_MS, ...options });
    }
    if (method.responseStream) return (request, options = {}) => this.#streaming(method, request, options);
    return (request, options = {}) => this.#single(method, request, options);
  }

  #single(method: AnyMethod, request: Any, options: CallOptions): Promise<Any> {
    return new Promise((resolve, reject) => {
      if (options.signal?.aborted) return reject(options.signal.reason);
      const feed = method.requestStream ? new Feed() : undefined;
      const done = (error: ServiceError | null, value?: Any): void => {
        options.signal?.removeEventListener('abort', cancel);
        feed?.stop();
        if (error) reject(feed?.error ?? failureOf(error, options));
        else resolve(value);
      };
      const wire = [method.path, method.requestSerialize, method.responseDeserialize] as const;
      const settings = deadlineIn(options.timeoutMs ?? (method.requestStream ? undefined : UNARY_TIMEOUT_MS));
      const call = feed
        ? feed.into(this.#client.makeClientStreamRequest(...wire, new Metadata(), settings, done), request)
        : this.#client.makeUnaryRequest(...wire, request, new Metadata(), settings, done);
      const cancel = (): void => call.cancel();
      options.signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  async *#streaming(method: AnyMethod, request: Any, options: CallOptions): AsyncGenerator<Any> {
    options.signal?.throwIfAborted();
    const feed = method.requestStream ? new Feed() : undefined;
    const wire = [method.path, method.requestSerialize, method.responseDeserialize] as const;
    const settings = deadlineIn(options.timeoutMs);
    const call = feed
      ? feed.into(this.#client.makeBidiStreamRequest(...wire, new Metadata(), settings), request)
      : this.#client.makeServerStreamRequest(...wire, request, new Metadata(), settings);
    const cancel = (): void => call.cancel();
    options.signal?.addEventListener('abort', cancel, { once: true });
    try {
      yield* call as AsyncIterable<Any>;
    } catch (error) {
      throw feed?.error ?? failureOf(error as ServiceError, options);
    } finally {
      options.signal?.removeEventListener('abort', cancel);
      feed?.stop();
      // Leaving the loop early is how a consumer cancels; after the end it does nothing.
      call.cancel();
    }
  }
}

/** Sends the caller's messages. An error of their source cancels the call and is what the caller then sees. */
class Feed {
  readonly #life = new AbortController();
  error: unknown;

  into<C extends Sink<Any> & { end(): void; cancel(): void }>(call: C, source: AsyncIterable<Any>): C {
    pump(source, call, this.#life.signal).then(
      () => call.end(),
      (error: unknown) => {
        this.error = error;
        call.cancel();
      },
    );
    return call;
  }

  stop(): void {
    this.#life.abort(CANCELLED);
  }
}

function failureOf(error: ServiceError, options: CallOptions): unknown {
  return options.signal?.aborted ? options.signal.reason : fromStatus(error);
}

function deadlineIn(timeoutMs: number | undefined): GrpcCallOptions {
  return timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
}

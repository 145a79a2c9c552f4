import type { EventEmitter } from 'node:events';
import type { Readable } from 'node:stream';
import {
  type AtollError,
  hasReason,
  internal,
  permissionDenied,
  unauthenticated,
  unavailable,
  unimplemented,
} from '@atoll/errors';
import { callV1 } from '@atoll/proto';
import {
  type ServiceDefinition as GrpcServiceDefinition,
  Server,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { CallContext } from './call-context.ts';
import { callerOf } from './caller.ts';
import { Carrier, type CarrierCall } from './carrier.ts';
import { CHANNEL_OPTIONS } from './channel-options.ts';
import type { AllowTable, AnyMethod, Handlers, ServiceDefinition } from './definition.ts';
import { pump } from './pump.ts';
import { serverCredentials } from './server-credentials.ts';
import { CANCELLED, toStatus } from './status.ts';
import type { Peer, Role, TlsIdentity } from './tls-identity.ts';

const NOTHING = Buffer.alloc(0);

/** One reason for all calls that end: making one for each costs more than the rest of the bookkeeping. */
const OVER = new DOMException('the call is over', 'AbortError');

// biome-ignore lint/suspicious/noExplicitAny: the host carries messages of every service; add() types them
type Any = any;
type AnyHandler = (request: Any, context: CallContext) => Promise<Any> | AsyncIterable<Any>;
type AnyCall = ServerUnaryCall<Any, Any> | ServerReadableStream<Any, Any> | ServerDuplexStream<Any, Any>;

export interface GrpcHostOptions {
  /** `host:port`; port 0 picks a free one. */
  readonly listen: string;
  readonly tls: TlsIdentity;
  /**
   * Default true: the TLS handshake fails without a certificate of the cluster's CA. False where `anonymous` methods exist
   * (joining); the other methods then still refuse callers without one.
   */
  readonly requireClientCertificate?: boolean;
  /** Told of errors that are our fault (internal, data-loss), never of the caller's. */
  readonly onInternalError?: (method: string, error: unknown) => void;
}

/**
 * Serves gRPC with mutual TLS. Every method names the roles that may call it and is refused to all others before its request is
 * looked at; a method without an entry cannot be added. Cancellation, deadlines and the host's stop reach the handler as an
 * AbortSignal; responses honour backpressure.
 */
export class GrpcHost {
  readonly #options: GrpcHostOptions;
  readonly #server = new Server(CHANNEL_OPTIONS);
  readonly #calls = new Set<AbortController>();
  readonly #carried = new Map<string, CarriedMethod>();
  readonly #carriers = new Set<Carrier>();
  #stopped: AtollError | undefined;

  constructor(options: GrpcHostOptions) {
    this.#options = options;
  }

  add<D extends { readonly [K in keyof D]: AnyMethod }>(
    definition: D,
    allow: AllowTable<D>,
    handlers: Handlers<D>,
  ): this {
    const implementation: UntypedServiceImplementation = {};
    for (const [name, method] of Object.entries(definition as ServiceDefinition)) {
      const roles = allow[name as keyof D];
      const handler = handlers[name as keyof D] as AnyHandler | undefined;
      if (!roles || !handler) throw internal(`${method.path} has no ${roles ? 'handler' : 'roles'}`);
      const bound = handler.bind(handlers);
      if (!method.requestStream) this.#carried.set(method.path, { method, roles, run: bound });
      implementation[name] = method.responseStream
        ? (call: AnyCall) => this.#stream(method, roles, bound, call as ServerDuplexStream<Any, Any>)
        : (call: AnyCall, answer: Answer) => this.#single(method, roles, bound, call, answer);
    }
    this.#server.addService(definition as unknown as GrpcServiceDefinition, implementation);
    return this;
  }

  async start(): Promise<{ address: string; port: number }> {
    const { listen, tls, requireClientCertificate = true } = this.#options;
    this.#server.addService(callV1.CallServiceService as unknown as GrpcServiceDefinition, {
      carry: (call: CarrierCall) => this.#carry(call),
    });
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(listen, serverCredentials(tls, requireClientCertificate), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    return { address: `${listen.slice(0, listen.lastIndexOf(':'))}:${port}`, port };
  }

  /** Aborts the handlers' signals at once, lets calls finish for `graceMs`, then cancels what is left. */
  async stop(graceMs = 2_000): Promise<void> {
    this.#stopped = unavailable('the service is shutting down; try again');
    for (const call of this.#calls) call.abort(this.#stopped);
    for (const carrier of this.#carriers) carrier.end();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#server.forceShutdown();
        resolve();
      }, graceMs);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #single(method: AnyMethod, roles: Roles, handler: AnyHandler, call: AnyCall, answer: Answer): void {
    const life = this.#begin();
    const run = async (): Promise<Any> => {
      const context = this.#admit(roles, method, call, life);
      return await (handler(
        method.requestStream ? requestsOf(call as Any) : (call as ServerUnaryCall<Any, Any>).request,
        context,
      ) as Promise<Any>);
    };
    run()
      .then(
        (value) => answer(null, value),
        (error: unknown) => answer(this.#failure(method, error)),
      )
      .finally(() => this.#end(life));
  }

  #stream(method: AnyMethod, roles: Roles, handler: AnyHandler, call: ServerDuplexStream<Any, Any>): void {
    const life = this.#begin();
    const run = async (): Promise<void> => {
      const context = this.#admit(roles, method, call, life);
      const request = method.requestStream
        ? requestsOf(call)
        : (call as unknown as ServerWritableStream<Any, Any>).request;
      await pump(handler(request, context) as AsyncIterable<Any>, call, context.signal);
      context.signal.throwIfAborted();
    };
    run()
      .then(
        () => call.end(),
        (error: unknown) => call.emit('error', this.#failure(method, error)),
      )
      .finally(() => this.#end(life));
  }

  #carry(call: CarrierCall): void {
    const peer = callerOf(call);
    if (!peer) {
      call.emit('error', toStatus(unauthenticated('calls are carried for callers with a certificate of the cluster')));
      return;
    }
    const carrier = new Carrier(call, async ({ method: path, request, timeoutMs }, life, item) => {
      const found = this.#carried.get(path);
      if (!found) throw unimplemented(`${path} is no method with one request here`);
      const { method, roles, run } = found;
      this.#begin(life);
      try {
        assertAllowed(roles, method, peer);
        const deadlineMs = timeoutMs === 0 ? undefined : Date.now() + timeoutMs;
        const context = { signal: life.signal, peer, deadlineMs };
        const answer = run(method.requestDeserialize(request), context);
        if (!method.responseStream) return method.responseSerialize(await (answer as Promise<Any>));
        for await (const one of answer as AsyncIterable<Any>) item(method.responseSerialize(one));
        life.signal.throwIfAborted();
        return NOTHING;
      } catch (error) {
        this.#report(method, error);
        throw error;
      } finally {
        this.#end(life);
      }
    });
    this.#carriers.add(carrier);
    for (const end of ['close', 'cancelled']) call.once(end, () => this.#carriers.delete(carrier));
    if (this.#stopped) carrier.end();
  }

  #begin(life = new AbortController()): AbortController {
    this.#calls.add(life);
    if (this.#stopped) life.abort(this.#stopped);
    return life;
  }

  #end(life: AbortController): void {
    this.#calls.delete(life);
    life.abort(OVER);
  }

  /** The caller's identity checked against the method's roles, and the call's life as one signal. */
  #admit(roles: Roles, method: AnyMethod, call: AnyCall, life: AbortController): CallContext {
    const peer = callerOf(call);
    assertAllowed(roles, method, peer);
    const events: EventEmitter = call;
    events.on('cancelled', () => life.abort(CANCELLED));
    if (method.requestStream) events.on('error', (error: unknown) => life.abort(error));
    const deadline = call.getDeadline();
    const deadlineMs = typeof deadline === 'number' ? deadline : deadline.getTime();
    return {
      signal: life.signal,
      peer,
      deadlineMs: Number.isFinite(deadlineMs) ? deadlineMs : undefined,
    };
  }

  #failure(method: AnyMethod, error: unknown) {
    this.#report(method, error);
    return toStatus(error);
  }

  #report(method: AnyMethod, error: unknown): void {
    if (hasReason(error, 'internal', 'data-loss')) this.#options.onInternalError?.(method.path, error);
  }
}

/** Errors: unauthenticated, permission-denied. */
function assertAllowed(roles: Roles, method: AnyMethod, peer: Peer | undefined): void {
  if (roles.includes(peer?.role ?? 'anonymous') || roles.includes('anonymous')) return;
  if (!peer) throw unauthenticated(`${method.path} needs a certificate of the cluster`);
  throw permissionDenied(`role ${peer.role} may not call ${method.path}; it is for ${roles.join(', ')}`);
}

/**
 * The caller's messages. The plain iterator of a stream destroys it at the end, and with it the half we still answer on when the
 * caller has nothing more to say (EOF of a process' input).
 */
function requestsOf(call: Readable): AsyncIterable<Any> {
  return { [Symbol.asyncIterator]: () => call.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]() };
}

interface CarriedMethod {
  readonly method: AnyMethod;
  readonly roles: Roles;
  readonly run: AnyHandler;
}
type Roles = readonly (Role | 'anonymous')[];
type Answer = (error: Any, value?: Any) => void;

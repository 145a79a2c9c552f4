import type { CallContext } from './call-context.ts';
import type { Role } from './tls-identity.ts';

/** One method as ts-proto describes it for grpc-js. `any`: the wire functions are contravariant in the message type. */
export interface MethodDefinition<Req, Res, ReqStream extends boolean, ResStream extends boolean> {
  readonly path: string;
  readonly requestStream: ReqStream;
  readonly responseStream: ResStream;
  readonly requestSerialize: (value: Req) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Req;
  readonly responseSerialize: (value: Res) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Res;
}

// biome-ignore lint/suspicious/noExplicitAny: a definition is used in both directions, only `any` is assignable both ways
export type AnyMethod = MethodDefinition<any, any, boolean, boolean>;
export type ServiceDefinition = { readonly [method: string]: AnyMethod };

type Request<M> = M extends { readonly requestDeserialize: (bytes: Buffer) => infer Req } ? Req : never;
type Response<M> = M extends { readonly responseDeserialize: (bytes: Buffer) => infer Res } ? Res : never;

type Call<M, Option, Optional extends boolean> = M extends {
  readonly requestStream: infer In;
  readonly responseStream: infer Out;
}
  ? (
      request: In extends true ? AsyncIterable<Request<M>> : Request<M>,
      ...rest: Optional extends true ? [option?: Option] : [option: Option]
    ) => Out extends true ? AsyncIterable<Response<M>> : Promise<Response<M>>
  : never;

/** What a server gives for each method. */
export type Handlers<D> = { readonly [K in keyof D]: Call<D[K], CallContext, false> };

/** What a caller gets for each method. */
export type Client<D> = { readonly [K in keyof D]: Call<D[K], CallOptions, true> };

export interface ClientOptions<D> {
  /**
   * Methods whose calls go as messages over one stream instead of each being a call of its own (proto/call/v1): for small requests
   * and few small answers, asked often. Methods with a stream of requests are called as ever.
   */
  readonly carried?: 'all' | readonly (keyof D)[];
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds; default 30,000 for a call with one answer, none for streams. */
  readonly timeoutMs?: number;
}

/** Which roles may call each method; `anonymous` admits callers without a client certificate. All others are refused. */
export type AllowTable<D> = { readonly [K in keyof D]: readonly (Role | 'anonymous')[] };

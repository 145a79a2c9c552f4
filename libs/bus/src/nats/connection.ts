import { setTimeout as sleep } from 'node:timers/promises';
import { unavailable } from '@atoll/errors';
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { type BusLog, SILENT_LOG } from '../bus-log.ts';
import { Gather } from './gather.ts';
import { type Publish, Publisher } from './publisher.ts';

export interface BusOptions {
  /** `nats://host:port` or several. */
  readonly servers: readonly string[];
  readonly credentials?: { readonly user: string; readonly password: string };
  /** Client certificate and the CA that signs the servers', PEM. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
  /** Shown in the server's list of connections. */
  readonly name: string;
  readonly log?: BusLog;
  /** Ends the wait for the first connection; without it the wait has no end. */
  readonly signal?: AbortSignal;
}

/** A connection to NATS that comes back for ever; every operation over it has its own budget. */
export interface Bus {
  readonly connection: NatsConnection;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  /** Puts a message into the stream that takes its subject; see Publisher. */
  publish: Publish;
  /** When to write what need not be there at once. */
  readonly gather: Gather;
  readonly log: BusLog;
  /** Told when the connection is lost or the server changes: what was promised over it (subscriptions) is not any more. The answer stops it. */
  onConnectionLost(listener: () => void): () => void;
  /** `2.10.27` */
  serverVersion(): string;
  close(): Promise<void>;
}

/** How long one operation keeps trying: the failover of a three-server JetStream cluster was measured to leave a gap of 4.5 to 6.2 s. */
export const OPERATION_BUDGET_MS = 10_000;
/** How long one request to JetStream waits for its answer. */
export const REQUEST_TIMEOUT_MS = 2_000;
const FIRST_CONNECT_RETRY_MS = 250;

/** Connects and stays connected. Errors: the abort reason when `signal` ends the wait for the first connection. */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const log = options.log ?? SILENT_LOG;
  const connection = await firstConnection(options, log);
  const manager = await jetstreamManager(connection, { timeout: REQUEST_TIMEOUT_MS, checkAPI: false });
  const publisher = new Publisher(connection, REQUEST_TIMEOUT_MS);
  const listeners = new Set([() => publisher.lost()]);
  void followStatus(connection, log, listeners);
  return {
    connection,
    manager,
    publish: publisher.publish,
    gather: new Gather(),
    jetstream: jetstream(connection, { timeout: REQUEST_TIMEOUT_MS }),
    log,
    onConnectionLost: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    serverVersion: () => {
      const version = connection.info?.version;
      if (version === undefined) throw unavailable('not connected to a NATS server yet');
      return version;
    },
    close: () => connection.close(),
  };
}

async function firstConnection(options: BusOptions, log: BusLog): Promise<NatsConnection> {
  for (let told = false; ; ) {
    try {
      return await connect({
        servers: [...options.servers],
        name: options.name,
        maxReconnectAttempts: -1,
        ignoreAuthErrorAbort: true,
        // A stack trace taken for every request was a tenth of the scheduler's CPU time.
        noAsyncTraces: true,
        reconnectTimeWait: 200,
        reconnectJitter: 100,
        pingInterval: 5_000,
        maxPingOut: 2,
        timeout: 5_000,
        ...(options.credentials && { user: options.credentials.user, pass: options.credentials.password }),
        ...(options.tls && { tls: { ...options.tls } }),
      });
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!told) log.warn({ servers: options.servers, err: error }, 'no NATS server answers yet; trying again');
      told = true;
      await sleep(FIRST_CONNECT_RETRY_MS, undefined, options.signal ? { signal: options.signal } : {});
    }
  }
}

async function followStatus(connection: NatsConnection, log: BusLog, lost: ReadonlySet<() => void>): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'disconnect') {
      log.warn({ server: status.server }, 'NATS connection lost; reconnecting');
      for (const listener of [...lost]) listener();
    } else if (status.type === 'reconnect') {
      log.info({ server: status.server }, 'NATS connection is back');
      // What was asked while there was no connection is not sent by the client library: it has to be asked again.
      for (const listener of [...lost]) listener();
    } else if (status.type === 'error') log.error({ err: status.error }, 'NATS reports an error');
  }
}

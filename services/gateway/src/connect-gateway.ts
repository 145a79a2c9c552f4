import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Bus,
  CONTAINER_STATUSES,
  CONTAINERS,
  connectBus,
  Feed,
  NatsDesiredStore,
  NatsEventBus,
  NatsObservedStore,
  NETWORKS,
  NODE_STATUSES,
  NODES,
  VOLUMES,
} from '@atoll/bus';
import { invalidArgument } from '@atoll/errors';
import { createLogger } from '@atoll/logging';
import { ChannelPool, loadTlsIdentity } from '@atoll/rpc';
import { z } from 'zod';
import type { GatewayConfig } from './config.ts';
import { Gateway } from './gateway.ts';
import { socketMountPolicy } from './resources/container/socket-mounts.ts';
import type { ServerTls } from './server/docker-server.ts';

const FIRST_STATE_MS = 60_000;

/** A gateway with its connections; `start` serves once the mirrors know what was there. */
export async function connectGateway(
  config: GatewayConfig,
): Promise<{ start(): Promise<void>; stop(): Promise<void> }> {
  const logger = createLogger({ service: 'gateway' });
  const tls = await loadTlsIdentity(config.ATOLL_TLS_DIR);
  const bus = await openBus(config, logger);
  const desired = new Feed(new NatsDesiredStore(bus).source(), { name: 'desired', onRegress: 'keep', log: logger });
  const observed = new Feed(new NatsObservedStore(bus).source(), {
    name: 'observed',
    onRegress: 'rebuilt',
    log: logger,
  });
  const mirrors = {
    containers: desired.mirror(CONTAINERS),
    nodes: desired.mirror(NODES),
    volumes: desired.mirror(VOLUMES),
    networks: desired.mirror(NETWORKS),
    containerStatuses: observed.mirror(CONTAINER_STATUSES),
    nodeStatuses: observed.mirror(NODE_STATUSES),
  };
  const channels = new ChannelPool(tls);
  const events = new NatsEventBus(bus);
  const [scheduler, ...others] = config.ATOLL_SCHEDULERS;
  if (scheduler === undefined) throw invalidArgument('ATOLL_SCHEDULERS names no scheduler');
  const tcp = await tcpOptions(config);
  const gateway = new Gateway({
    listen: { socketPath: config.ATOLL_DOCKER_SOCKET, ...(tcp === undefined ? {} : { tcp }) },
    mirrors,
    events,
    channels,
    schedulers: [scheduler, ...others],
    registry: config.ATOLL_REGISTRY,
    builder: config.ATOLL_BUILDER,
    ca: tls.ca,
    socketMounts: socketMountPolicy(config.ATOLL_DOCKER_SOCKET, refusalOf(config)),
    ...(config.ATOLL_LISTEN !== undefined && { relay: { ...hostAndPort(config.ATOLL_LISTEN), tls } }),
    logger,
  });
  return {
    start: async () => {
      const limit = AbortSignal.timeout(FIRST_STATE_MS);
      await Promise.all([desired.start().ready(limit), observed.start().ready(limit)]);
      const port = await gateway.start();
      logger.info({ socket: config.ATOLL_DOCKER_SOCKET, tcp: port }, 'listening');
    },
    stop: async () => {
      await gateway.stop();
      await Promise.all([desired.close(), observed.close(), events.close()]);
      channels.close();
      await bus.close();
    },
  };
}

function refusalOf(config: GatewayConfig): string | undefined {
  if (config.ATOLL_SOCKET_MOUNTS === 'refuse') {
    return 'containers of this cluster may not mount the Docker socket (ATOLL_SOCKET_MOUNTS=refuse)';
  }
  return config.ATOLL_LISTEN === undefined
    ? 'this gateway takes no connections of containers; set ATOLL_LISTEN, and ATOLL_GATEWAYS of the schedulers'
    : undefined;
}

const CREDENTIALS = z.object({ user: z.string(), password: z.string() });

async function openBus(config: GatewayConfig, log: ReturnType<typeof createLogger>): Promise<Bus> {
  const path = config.ATOLL_NATS_CREDENTIALS;
  const credentials = path === undefined ? undefined : CREDENTIALS.safeParse(JSON.parse(await readFile(path, 'utf8')));
  if (credentials?.success === false) throw invalidArgument(`${path} must hold {"user":…,"password":…}`);
  return await connectBus({
    servers: config.ATOLL_NATS_URL.split(','),
    name: 'gateway',
    log,
    ...(credentials === undefined ? {} : { credentials: credentials.data }),
  });
}

async function tcpOptions(config: GatewayConfig): Promise<{ host: string; port: number; tls?: ServerTls } | undefined> {
  const address = config.ATOLL_DOCKER_TCP;
  if (address === undefined) return undefined;
  const at = hostAndPort(address);
  const folder = config.ATOLL_DOCKER_TLS_DIR;
  if (folder === undefined) return at;
  const [ca, cert, key] = await Promise.all(
    ['ca.pem', 'cert.pem', 'key.pem'].map((name) => readFile(join(folder, name))),
  );
  return { ...at, tls: { ca: ca as Buffer, cert: cert as Buffer, key: key as Buffer } };
}

function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const split = address.lastIndexOf(':');
  return { host: address.slice(0, split).replace(/^\[|\]$/g, ''), port: Number(address.slice(split + 1)) };
}

import { readFile } from 'node:fs/promises';
import { assertDurable, type Bus, connectBus } from '@atoll/bus';
import { failedPrecondition, hasReason } from '@atoll/errors';
import { type Authority, loadAuthority } from '@atoll/identity';
import { createLogger, type Logger } from '@atoll/logging';
import { lifecycle } from '@atoll/nest';
import { loadTlsIdentity } from '@atoll/rpc';
import { BINPACK, Pipeline, SPREAD } from '@atoll/scheduling';
import { Module } from '@nestjs/common';
import { z } from 'zod';
import { type SchedulerConfig, schedulerConfig } from './config.ts';
import { armFailpoint } from './domain/failpoint.ts';
import { NodeSubnets } from './domain/node-subnet.ts';
import { Scheduler } from './scheduler.ts';

export const CONFIG = Symbol('SchedulerConfig');
export const LOGGER = Symbol('Logger');
export const BUS = Symbol('Bus');
export const SCHEDULER = Symbol('Scheduler');

const HEARTBEAT_MS = 1_000;
/** When all hosts are silent there is none to place anything on: no hurry to call them lost. */
const ALONE_TIMEOUT_MS = 30_000;
/** After a start or takeover hosts may be starting as well: nothing is placed anew before they had time to come. */
const TAKEOVER_GRACE_MS = 26_000;

/** A container that is made anew leaves its network and comes back within moments. */
const NETWORK_LINGER_MS = 10_000;
/** As long as a host keeps what has come of it. */
const RESTORE_WAIT_MS = 120_000;

/** The composition root of the scheduler. */
export class SchedulerModule {}

// Called, not written with `@`: the file then runs as it is, without being compiled first.
Module({
  providers: [
    { provide: LOGGER, useFactory: () => createLogger({ service: 'scheduler' }) },
    { provide: CONFIG, useFactory: () => schedulerConfig() },
    { provide: BUS, inject: [CONFIG, LOGGER], useFactory: connect },
    { provide: SCHEDULER, inject: [CONFIG, LOGGER, BUS], useFactory: compose },
    lifecycle(Symbol('SchedulerLifecycle'), SCHEDULER),
  ],
})(SchedulerModule);

const CREDENTIALS = z.object({ user: z.string().min(1), password: z.string().min(1) });

async function connect(config: SchedulerConfig, log: Logger): Promise<Bus> {
  const bus = await connectBus({
    servers: config.ATOLL_NATS_URL,
    name: 'scheduler',
    log,
    ...(config.ATOLL_NATS_CREDENTIALS !== undefined && {
      credentials: await credentials(config.ATOLL_NATS_CREDENTIALS),
    }),
  });
  await assertDurable(bus, {
    mode: config.ATOLL_NATS_DURABLE,
    ...(config.ATOLL_NATS_STORE_DIR !== undefined && { storeDir: config.ATOLL_NATS_STORE_DIR }),
  });
  return bus;
}

async function credentials(path: string): Promise<{ user: string; password: string }> {
  const parsed = CREDENTIALS.safeParse(JSON.parse(await readFile(path, 'utf8')));
  if (!parsed.success) throw failedPrecondition(`${path} has to hold {"user": …, "password": …}`);
  return parsed.data;
}

async function compose(config: SchedulerConfig, log: Logger, bus: Bus): Promise<Scheduler> {
  armFailpoint(config.ATOLL_FAILPOINT);
  const authority = await loadCa(config.ATOLL_CA_DIR);
  return new Scheduler({
    bus,
    tls: await loadTlsIdentity(config.ATOLL_TLS_DIR),
    listen: config.ATOLL_LISTEN,
    ...(config.ATOLL_ADVERTISE !== undefined && { advertise: config.ATOLL_ADVERTISE }),
    ...(authority && { authority }),
    ...(config.ATOLL_CA_DIR !== undefined && { stateDir: config.ATOLL_CA_DIR }),
    replicas: config.ATOLL_NATS_REPLICAS,
    subnets: new NodeSubnets(config.ATOLL_CONTAINER_CIDR),
    networkPool: { cidr: config.ATOLL_NETWORK_POOL, prefix: config.ATOLL_NETWORK_POOL_SIZE },
    networkLingerMs: NETWORK_LINGER_MS,
    restoreWaitMs: RESTORE_WAIT_MS,
    pipeline: new Pipeline({ scorer: config.ATOLL_STRATEGY === 'binpack' ? BINPACK : SPREAD }),
    nodeTimeoutMs: config.ATOLL_NODE_TIMEOUT_MS,
    aloneTimeoutMs: Math.max(ALONE_TIMEOUT_MS, config.ATOLL_NODE_TIMEOUT_MS),
    heartbeatMs: HEARTBEAT_MS,
    takeoverGraceMs: TAKEOVER_GRACE_MS,
    gateways: config.ATOLL_GATEWAYS ?? [],
    schedulers: config.ATOLL_SCHEDULERS ?? [],
    registry: config.ATOLL_REGISTRY ?? '',
    log,
  });
}

/** A replica may lack the CA's key; a broken pair is an error. */
async function loadCa(dir: string | undefined): Promise<Authority | undefined> {
  if (dir === undefined) return undefined;
  try {
    return await loadAuthority(dir);
  } catch (error) {
    if (hasReason(error, 'not-found')) return undefined;
    throw error;
  }
}

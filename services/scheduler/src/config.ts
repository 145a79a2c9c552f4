import { absolutePath, address, addressList, loadConfig, positiveInteger } from '@atoll/config';
import { z } from 'zod';
import { FAILPOINTS } from './domain/failpoint.ts';

const SCHEMA = z.object({
  /** host:port of the gRPC server. */
  ATOLL_LISTEN: address,
  /** Where others reach it; the bound address when not given. */
  ATOLL_ADVERTISE: address.optional(),
  /** ca.pem, cert.pem, key.pem. */
  ATOLL_TLS_DIR: absolutePath,
  /** One or more, separated by commas. */
  ATOLL_NATS_URL: z.string().transform((text) => text.split(',').map((part) => part.trim())),
  /** A JSON file {user, password}. */
  ATOLL_NATS_CREDENTIALS: absolutePath.optional(),
  /** How the launcher made JetStream durable: sync (`sync_interval: always`) or flags (`chattr +S +D`). */
  ATOLL_NATS_DURABLE: z.enum(['sync', 'flags']).optional(),
  /** JetStream's folder, when it is on this machine. */
  ATOLL_NATS_STORE_DIR: absolutePath.optional(),
  ATOLL_NATS_REPLICAS: z.coerce
    .number()
    .pipe(z.union([z.literal(1), z.literal(3)]))
    .default(1),
  /** ca.pem and ca-key.pem, and the note that this cluster's state was made. */
  ATOLL_CA_DIR: absolutePath.optional(),
  ATOLL_CONTAINER_CIDR: z.string().default('10.213.0.0/16'),
  /** Networks for which no subnet was asked get a block of this size out of this IPv4 network. */
  ATOLL_NETWORK_POOL: z.string().default('10.216.0.0/13'),
  ATOLL_NETWORK_POOL_SIZE: positiveInteger.default(22),
  ATOLL_STRATEGY: z.enum(['spread', 'binpack']).default('spread'),
  /** Silence after which a host is down, ms. */
  ATOLL_NODE_TIMEOUT_MS: positiveInteger.default(4_000),
  /** Told to hosts that join. */
  ATOLL_SCHEDULERS: addressList.optional(),
  ATOLL_REGISTRY: address.optional(),
  /** Told to every host: where gateways take what containers say to the Docker API. */
  ATOLL_GATEWAYS: addressList.optional(),
  /** For tests: where to be killed. */
  ATOLL_FAILPOINT: z.enum(FAILPOINTS).optional(),
});

export type SchedulerConfig = Readonly<z.output<typeof SCHEMA>>;

/** Errors: invalid-argument naming every wrong variable. */
export function schedulerConfig(environment?: Readonly<Record<string, string | undefined>>): SchedulerConfig {
  return loadConfig(SCHEMA, environment);
}

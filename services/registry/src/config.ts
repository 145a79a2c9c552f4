import { absolutePath, address, flag, loadConfig, pairs, positiveInteger } from '@atoll/config';
import { z } from 'zod';

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean),
);
const GIB = 1024 ** 3;

const schema = z.object({
  /** gRPC, `host:port`. */
  ATOLL_LISTEN: address,
  /** OCI distribution API over HTTP. */
  ATOLL_LISTEN_HTTP: address,
  /** Serve the distribution API with the service's own certificate. */
  ATOLL_HTTP_TLS: flag.default(false),
  ATOLL_DATA_ROOT: absolutePath,
  ATOLL_TLS_DIR: absolutePath,
  ATOLL_NATS_URL: z.string().transform((text) => text.split(',')),
  ATOLL_NATS_CREDENTIALS: absolutePath.optional(),
  ATOLL_NATS_REPLICAS: positiveInteger.default(1),
  /** Absent: caches are in-process. */
  REDIS_URL: z.string().optional(),
  /** `docker.io=http://host:port,…`: who stands in for a registry. */
  ATOLL_REGISTRY_MIRRORS: pairs.default({}),
  /** Registries that speak plain HTTP. */
  ATOLL_INSECURE_REGISTRIES: list.default([]),
  /** Names under which clients reach this registry, `localhost:5000,registry.example`. */
  ATOLL_REGISTRY_NAMES: list.default([]),
  /** `os/architecture` of the cluster's hosts; default this machine's. */
  ATOLL_PLATFORM: z.string().optional(),
  ATOLL_MAX_BLOB_BYTES: positiveInteger.default(64 * GIB),
  /** Room that has to be left on the disk for an upload to begin. */
  ATOLL_MIN_FREE_BYTES: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(GIB / 4),
  /** How long blobs nobody names are kept. */
  ATOLL_GC_GRACE_SECONDS: z.coerce.number().int().nonnegative().default(3_600),
  ATOLL_GC_INTERVAL_SECONDS: positiveInteger.default(900),
  /** How long an upload nobody goes on with is kept. */
  ATOLL_UPLOAD_AGE_SECONDS: positiveInteger.default(24 * 3_600),
});

export type RegistryConfig = Readonly<z.output<typeof schema>>;

export function registryConfig(environment: NodeJS.ProcessEnv = process.env): RegistryConfig {
  return loadConfig(schema, environment);
}

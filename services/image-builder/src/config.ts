import { absolutePath, address, addressList, positiveInteger } from '@atoll/config';
import { z } from 'zod';

const GIB = 1 << 30;

/** The environment of an image-builder. */
export const configSchema = z.object({
  ATOLL_LISTEN: address,
  ATOLL_TLS_DIR: absolutePath,
  ATOLL_SCHEDULERS: addressList,
  ATOLL_REGISTRY: address,
  /** Contexts of running builds are spooled below it, in files without a name. */
  ATOLL_DATA_ROOT: absolutePath,
  /** Cache index shared by several builders; in the process when unset. */
  REDIS_URL: z.url().optional(),
  /** File with the secret the builders that share a cache sign its entries with; unset = each trusts only its own. */
  ATOLL_BUILD_CACHE_SECRET: absolutePath.optional(),
  /** Builds at the same time, and those that may wait for one. */
  ATOLL_BUILDS: positiveInteger.default(4),
  ATOLL_BUILDS_WAITING: positiveInteger.default(64),
  /** Stages of one build at the same time. */
  ATOLL_BUILD_STAGES: positiveInteger.default(8),
  ATOLL_BUILD_TIMEOUT_SECONDS: positiveInteger.default(3 * 3600),
  /** Limits of one context, uncompressed. */
  ATOLL_BUILD_CONTEXT_BYTES: positiveInteger.default(8 * GIB),
  ATOLL_BUILD_CONTEXT_ENTRIES: positiveInteger.default(500_000),
});

export type ImageBuilderConfig = z.output<typeof configSchema>;

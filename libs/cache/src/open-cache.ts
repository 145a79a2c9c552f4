import type { Cache } from './cache.ts';
import { MemoryCache } from './memory-cache.ts';
import { RedisCache } from './redis-cache.ts';

export interface OpenCacheOptions {
  /** Redis when given, in-process when undefined. */
  readonly redisUrl: string | undefined;
  readonly prefix: string;
  /** Bound of the in-process cache, bytes. */
  readonly maxBytes: number;
  readonly onDown?: (error: Error) => void;
}

/** The cache a service's configuration asks for. */
export function openCache(options: OpenCacheOptions): Cache {
  if (options.redisUrl === undefined) return new MemoryCache({ maxBytes: options.maxBytes });
  return new RedisCache({
    url: options.redisUrl,
    prefix: options.prefix,
    ...(options.onDown === undefined ? {} : { onDown: options.onDown }),
  });
}

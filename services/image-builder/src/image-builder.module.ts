import { hkdfSync } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openCache } from '@atoll/cache';
import { loadConfig } from '@atoll/config';
import { createLogger } from '@atoll/logging';
import { lifecycle } from '@atoll/nest';
import { buildV1, imageV1, nodeV1 } from '@atoll/proto';
import { ChannelPool, GrpcHost, loadTlsIdentity, type TlsIdentity } from '@atoll/rpc';
import { Module } from '@nestjs/common';
import { RegistryImages } from './adapters/registry-images.ts';
import { SchedulerPlacer } from './adapters/scheduler-placer.ts';
import { StepCacheIndex } from './adapters/step-cache-index.ts';
import { BUILD_SERVICE_ROLES, BuildService } from './api/grpc/build-service.ts';
import { BuildQueue } from './builder/build-queue.ts';
import { Builder } from './builder/builder.ts';
import { configSchema, type ImageBuilderConfig } from './config.ts';
import { MemoryBudget } from './context/memory-budget.ts';
import { hostPlatform } from './image/host-platform.ts';

const CONFIG = Symbol('config');
const IDENTITY = Symbol('identity');
const CHANNELS = Symbol('channels');
const SERVER = Symbol('server');

const CACHE_BYTES = 16 << 20;
const OUTPUT_BUFFER = 1 << 20;
/** Of the heap of 256 MiB the launcher gives a service. */
const INDEX_BYTES = 128 << 20;

/** Composition root: from the environment to a listening BuildService. */
@Module({
  providers: [
    { provide: CONFIG, useFactory: () => loadConfig(configSchema) },
    {
      provide: IDENTITY,
      inject: [CONFIG],
      useFactory: (config: ImageBuilderConfig) => loadTlsIdentity(config.ATOLL_TLS_DIR),
    },
    { provide: CHANNELS, inject: [IDENTITY], useFactory: (tls: TlsIdentity) => new ChannelPool(tls) },
    { provide: SERVER, inject: [CONFIG, IDENTITY, CHANNELS], useFactory: createServer },
    lifecycle('server lifecycle', SERVER),
  ],
})
export class ImageBuilderModule {}

/** The server with all it serves from; stopping it gives up caches and connections too. */
async function createServer(config: ImageBuilderConfig, tls: TlsIdentity, channels: ChannelPool) {
  const logger = createLogger({ service: 'image-builder' });
  const spool = join(config.ATOLL_DATA_ROOT, 'spool');
  await mkdir(spool, { recursive: true, mode: 0o700 });
  const registry = channels.get(config.ATOLL_REGISTRY, 'registry');
  const images = new RegistryImages(
    registry.client(imageV1.ImageServiceService),
    registry.client(imageV1.BlobServiceService),
  );
  const cache = openCache({
    redisUrl: config.REDIS_URL,
    prefix: 'atoll:build:',
    maxBytes: CACHE_BYTES,
    onDown: (error) => logger.warn({ err: error }, 'the build cache cannot be reached; builds run without it'),
  });
  const index = new StepCacheIndex(cache, images, await cacheSecret(config, tls));
  const schedulers = config.ATOLL_SCHEDULERS.map((address) =>
    channels.get(address, 'scheduler').client(nodeV1.NodeServiceService),
  );
  const builder = new Builder({
    context: {
      directory: spool,
      maxBytes: config.ATOLL_BUILD_CONTEXT_BYTES,
      maxEntries: config.ATOLL_BUILD_CONTEXT_ENTRIES,
      memory: new MemoryBudget(INDEX_BYTES),
    },
    stageConcurrency: config.ATOLL_BUILD_STAGES,
    outputBuffer: OUTPUT_BUFFER,
    platform: hostPlatform(),
    hosts: new SchedulerPlacer(schedulers, channels),
    images,
    cache: index,
  });
  const service = new BuildService({
    builder,
    queue: new BuildQueue({ running: config.ATOLL_BUILDS, waiting: config.ATOLL_BUILDS_WAITING }),
    pruneCache: () => index.prune(),
    timeoutMs: config.ATOLL_BUILD_TIMEOUT_SECONDS * 1000,
  });
  const host = new GrpcHost({
    listen: config.ATOLL_LISTEN,
    tls,
    onInternalError: (method, error) => logger.error({ err: error, method }, 'a build failed for a fault of ours'),
  }).add(buildV1.BuildServiceService, BUILD_SERVICE_ROLES, service.handlers);
  return {
    start: async () => logger.info(await host.start(), 'listening'),
    stop: async () => {
      await host.stop();
      channels.close();
      await cache.close();
    },
  };
}

/** Builders that share a cache share a secret; one alone derives it from its own key, so it survives a restart. */
async function cacheSecret(config: ImageBuilderConfig, tls: TlsIdentity): Promise<Buffer> {
  const source = config.ATOLL_BUILD_CACHE_SECRET ? await readFile(config.ATOLL_BUILD_CACHE_SECRET) : tls.key;
  return Buffer.from(hkdfSync('sha256', source, 'atoll', 'build cache', 32));
}

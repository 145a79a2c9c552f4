import { type Bus, type EventBus, NatsEventBus } from '@atoll/bus';
import { type Cache, openCache } from '@atoll/cache';
import type { Logger } from '@atoll/logging';
import { normalizePlatform, type Platform, parsePlatform } from '@atoll/oci';
import { imageV1 } from '@atoll/proto';
import { GrpcHost, type TlsIdentity } from '@atoll/rpc';
import { FsBlobStore } from './adapters/blobs/fs-blob-store.ts';
import { BusImageEvents } from './adapters/bus-image-events.ts';
import { NatsRecordStore } from './adapters/records/nats-record-store.ts';
import { HttpRegistries } from './adapters/remote/http-registries.ts';
import { identifyStore } from './adapters/store-identity.ts';
import { BLOB_ROLES, blobHandlers } from './api/grpc/blob-service.ts';
import { IMAGE_ROLES, imageHandlers } from './api/grpc/image-service.ts';
import { BlobRoutes } from './api/http/blob-routes.ts';
import { DistributionServer } from './api/http/distribution-server.ts';
import { ManifestRoutes } from './api/http/manifest-routes.ts';
import { UploadRoutes } from './api/http/upload-routes.ts';
import type { RegistryConfig } from './config.ts';
import { ImageStore } from './domain/images/image-store.ts';
import { ImageRemoval } from './domain/images/remove-image.ts';
import { Documents } from './domain/manifests/documents.ts';
import { GarbageCollector } from './domain/manifests/garbage-collector.ts';
import { Liveness } from './domain/manifests/liveness.ts';
import { Manifests } from './domain/manifests/manifests.ts';
import { Names } from './domain/records/names.ts';
import { OwnRegistries } from './domain/remote/own-registries.ts';
import { Housekeeping } from './housekeeping.ts';

export interface RegistryParts {
  readonly config: RegistryConfig;
  readonly tls: TlsIdentity;
  readonly bus: Bus;
  readonly logger: Logger;
}

const CACHE_BYTES = 64 * 1024 * 1024;
const BUCKET = 'atoll_registry';

/** The registry: the cluster's image store, put together from its parts. */
export class Registry {
  readonly #parts: RegistryParts;
  readonly #stop = new AbortController();
  #running: { stop(): Promise<void> } | undefined;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
  }

  /** Listens when all names are known. Errors: those of NATS, the disk and the sockets. */
  async start(): Promise<{ readonly grpcPort: number; readonly httpPort: number }> {
    const { config, tls, bus, logger } = this.#parts;
    const blobs = await FsBlobStore.open({
      root: config.ATOLL_DATA_ROOT,
      maxBlobBytes: config.ATOLL_MAX_BLOB_BYTES,
      minFreeBytes: config.ATOLL_MIN_FREE_BYTES,
    });
    const onDamage = (error: unknown): void => logger.error({ err: error }, 'stored names or images are damaged');
    const records = await NatsRecordStore.open(
      bus,
      { bucket: BUCKET, replicas: config.ATOLL_NATS_REPLICAS },
      this.#stop.signal,
    );
    const names = new Names(records, onDamage);
    await names.start(this.#stop.signal);
    const cache = openRegistryCache(config, logger);
    const eventBus = new NatsEventBus(bus, { replicas: config.ATOLL_NATS_REPLICAS });
    const core = createCore({ config, blobs, names, cache, eventBus });
    const ours = await identifyStore(config.ATOLL_DATA_ROOT, names);
    if (!ours) {
      logger.error('the names in NATS are not those of this image store, or were lost: no blob will be deleted');
    }
    const housekeeping = createHousekeeping(core, config, logger, async () => ours && (await names.complete()));
    const grpc = createGrpcHost(core, { config, tls, logger, onDamage, onRemoved: () => housekeeping.soon() });
    const http = createHttpServer(core, config, tls, logger);
    const { port: grpcPort } = await grpc.start();
    const httpPort = await http.start();
    housekeeping.start();
    this.#running = {
      stop: async () => {
        await housekeeping.stop();
        await Promise.all([http.stop(), grpc.stop()]);
        await eventBus.close();
        await cache.close();
      },
    };
    logger.info({ grpcPort, httpPort }, 'listening');
    return { grpcPort, httpPort };
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
    this.#stop.abort();
  }
}

function openRegistryCache(config: RegistryConfig, logger: Logger): Cache {
  return openCache({
    redisUrl: config.REDIS_URL,
    prefix: 'atoll:registry:',
    maxBytes: CACHE_BYTES,
    onDown: (error) => logger.warn({ err: error }, 'the cache cannot be reached; manifests are read from files'),
  });
}

function createCore(parts: {
  config: RegistryConfig;
  blobs: FsBlobStore;
  names: Names;
  cache: Cache;
  eventBus: EventBus;
}) {
  const { config, blobs, names } = parts;
  const platform = platformOf(config);
  const documents = new Documents(blobs, parts.cache);
  const liveness = new Liveness();
  const events = new BusImageEvents(parts.eventBus);
  const manifests = new Manifests({ blobs, names, documents, liveness, platform });
  const images = new ImageStore({ blobs, names, documents, liveness, events });
  const others = new HttpRegistries({
    mirrors: config.ATOLL_REGISTRY_MIRRORS,
    insecure: config.ATOLL_INSECURE_REGISTRIES,
  });
  const registries = new OwnRegistries({
    domains: config.ATOLL_REGISTRY_NAMES,
    others,
    manifests,
    documents,
    blobs,
    names,
  });
  return { blobs, names, platform, documents, liveness, events, manifests, images, registries };
}

type Core = ReturnType<typeof createCore>;

function createHousekeeping(
  core: Core,
  config: RegistryConfig,
  logger: Logger,
  trusted: () => Promise<boolean>,
): Housekeeping {
  const collector = new GarbageCollector({
    ...core,
    graceMs: config.ATOLL_GC_GRACE_SECONDS * 1000,
    uploadAgeMs: config.ATOLL_UPLOAD_AGE_SECONDS * 1000,
    trusted,
  });
  return new Housekeeping({
    intervalMs: config.ATOLL_GC_INTERVAL_SECONDS * 1000,
    collect: async (signal) => {
      const collected = await collector.collect(signal);
      if (collected.blobs + collected.uploads > 0) logger.info(collected, 'collected garbage');
    },
    onError: (error) => logger.error({ err: error }, 'garbage was not collected; the next interval tries again'),
  });
}

interface GrpcParts {
  readonly config: RegistryConfig;
  readonly tls: TlsIdentity;
  readonly logger: Logger;
  readonly onDamage: (error: unknown) => void;
  readonly onRemoved: () => void;
}

function createGrpcHost(core: Core, { config, tls, logger, onDamage, onRemoved }: GrpcParts): GrpcHost {
  const removal = new ImageRemoval(core.images, core.names);
  const options = { ...core, removal, maxUnpackedBytes: config.ATOLL_MAX_BLOB_BYTES, onDamage, onRemoved };
  return new GrpcHost({
    listen: config.ATOLL_LISTEN,
    tls,
    onInternalError: (method, error) => logger.error({ err: error, method }, 'a call failed for a fault of ours'),
  })
    .add(imageV1.ImageServiceService, IMAGE_ROLES, imageHandlers(options))
    .add(imageV1.BlobServiceService, BLOB_ROLES, blobHandlers(core.blobs));
}

function createHttpServer(core: Core, config: RegistryConfig, tls: TlsIdentity, logger: Logger): DistributionServer {
  return new DistributionServer({
    listen: config.ATOLL_LISTEN_HTTP,
    tls: config.ATOLL_HTTP_TLS ? tls : undefined,
    blobs: new BlobRoutes(core),
    uploads: new UploadRoutes(core),
    manifests: new ManifestRoutes(core),
    onInternalError: (path, error) => logger.error({ err: error, path }, 'a request failed for a fault of ours'),
  });
}

function platformOf(config: RegistryConfig): Platform {
  const host = normalizePlatform({ os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch });
  return config.ATOLL_PLATFORM === undefined ? host : parsePlatform(config.ATOLL_PLATFORM, host);
}

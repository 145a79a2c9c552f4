import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cache, MemoryCache } from '@atoll/cache';
import { unimplemented } from '@atoll/errors';
import { buildV1, imageV1, nodeV1 } from '@atoll/proto';
import { Channel, ChannelPool, GrpcHost, type Handlers, type Role, type TlsIdentity } from '@atoll/rpc';
import { RegistryImages } from '../adapters/registry-images.ts';
import { SchedulerPlacer } from '../adapters/scheduler-placer.ts';
import { StepCacheIndex } from '../adapters/step-cache-index.ts';
import { BUILD_SERVICE_ROLES, BuildService } from '../api/grpc/build-service.ts';
import { BuildQueue } from '../builder/build-queue.ts';
import { Builder } from '../builder/builder.ts';
import { MemoryBudget } from '../context/memory-budget.ts';
import { TestAgent } from './test-agent.ts';
import { everyone, TestRegistry } from './test-registry.ts';

export interface BuildAnswer {
  /** All `stream` texts joined. */
  readonly text: string;
  readonly progress: readonly imageV1.Progress[];
  readonly id: string;
  readonly failure: buildV1.BuildFailure | undefined;
}

/** A registry, a scheduler and hosts, all real gRPC servers with mutual TLS, and an image-builder between them. */
export class TestCluster {
  readonly registry: TestRegistry;
  readonly agents: TestAgent[] = [];
  cache: Cache = new MemoryCache({ maxBytes: 16 << 20 });
  /** Arguments of every PlaceBuild. */
  readonly placements: nodeV1.PlaceBuildRequest[] = [];
  readonly #root = mkdtempSync(join(tmpdir(), 'atoll-builder-test-'));
  readonly #identity: (role: Role, id: string) => Promise<TlsIdentity>;
  readonly #closers: (() => Promise<void> | void)[] = [];
  #builder: GrpcHost | undefined;
  #client: Channel | undefined;

  private constructor(identity: (role: Role, id: string) => Promise<TlsIdentity>, registry: TlsIdentity) {
    this.#identity = identity;
    this.registry = new TestRegistry(registry);
  }

  static async start(
    identity: (role: Role, id: string) => Promise<TlsIdentity>,
    options: { readonly hosts: number; readonly builds?: number; readonly stages?: number },
  ): Promise<TestCluster> {
    const cluster = new TestCluster(identity, await identity('registry', 'r1'));
    await cluster.registry.start();
    for (let index = 1; index <= options.hosts; index++) {
      const id = `n${index}`;
      const tls = await identity('node', id);
      const agent = new TestAgent({ id, tls, root: cluster.#root, registry: cluster.registry.address });
      await agent.start();
      cluster.agents.push(agent);
    }
    await cluster.#startBuilder(options.builds ?? 4, options.stages ?? 4);
    return cluster;
  }

  get spool(): string {
    return this.#root;
  }

  async build(
    context: Buffer,
    options: Parameters<typeof buildV1.BuildOptions.fromPartial>[0] = {},
    signal?: AbortSignal,
  ): Promise<BuildAnswer> {
    let text = '';
    let id = '';
    let failure: buildV1.BuildFailure | undefined;
    const progress: imageV1.Progress[] = [];
    const full = buildV1.BuildOptions.fromPartial({ rm: true, ...options });
    for await (const { message } of this.stream(full, context, signal)) {
      if (message?.$case === 'stream') text += message.value;
      if (message?.$case === 'imageId') id = message.value;
      if (message?.$case === 'failure') failure = message.value;
      if (message?.$case === 'progress') progress.push(message.value);
    }
    return { text, id, failure, progress };
  }

  /** A build of hand-made messages; resolves when the stream ends. */
  async send(source: () => AsyncIterable<buildV1.BuildRequest>, signal: AbortSignal): Promise<void> {
    const client = (this.#client as Channel).client(buildV1.BuildServiceService);
    for await (const _ of client.build(source(), { signal }));
  }

  stream(options: buildV1.BuildOptions, context: Buffer, signal?: AbortSignal): AsyncIterable<buildV1.BuildResponse> {
    const client = (this.#client as Channel).client(buildV1.BuildServiceService);
    return client.build(requests(options, context), signal ? { signal } : {});
  }

  async pruneCache(): Promise<void> {
    await (this.#client as Channel).client(buildV1.BuildServiceService).pruneBuildCache({});
  }

  /** The parsed config of an image. */
  config(reference: string): Record<string, unknown> & { config: Record<string, unknown>; history: unknown[] } {
    return JSON.parse(this.registry.find(reference).config.toString('utf8'));
  }

  async stop(): Promise<void> {
    this.#client?.close();
    await this.#builder?.stop(200);
    for (const close of this.#closers) await close();
    for (const agent of this.agents) await agent.stop();
    await this.registry.host.stop(100);
    rmSync(this.#root, { recursive: true, force: true });
  }

  async #startBuilder(builds: number, stages: number): Promise<void> {
    const tls = await this.#identity('image-builder', 'b1');
    const channels = new ChannelPool(tls);
    const registry = channels.get(this.registry.address, 'registry');
    const images = new RegistryImages(
      registry.client(imageV1.ImageServiceService),
      registry.client(imageV1.BlobServiceService),
    );
    const scheduler = await this.#startScheduler();
    const index = new StepCacheIndex(this.cache, images, Buffer.from('secret of the test'));
    const builder = new Builder({
      context: { directory: this.#root, maxBytes: 64 << 20, maxEntries: 20_000, memory: new MemoryBudget(16 << 20) },
      stageConcurrency: stages,
      outputBuffer: 1 << 16,
      platform: { os: 'linux', architecture: 'amd64' },
      hosts: new SchedulerPlacer([channels.get(scheduler, 'scheduler').client(nodeV1.NodeServiceService)], channels),
      images,
      cache: index,
    });
    const service = new BuildService({
      builder,
      queue: new BuildQueue({ running: builds, waiting: 2 }),
      pruneCache: () => index.prune(),
      timeoutMs: 60_000,
    });
    this.#builder = new GrpcHost({ listen: '127.0.0.1:0', tls }).add(
      buildV1.BuildServiceService,
      BUILD_SERVICE_ROLES,
      service.handlers,
    );
    const { address } = await this.#builder.start();
    this.#client = new Channel({
      address,
      tls: await this.#identity('gateway', 'g1'),
      serverRole: 'image-builder',
    });
    this.#closers.push(() => channels.close());
  }

  async #startScheduler(): Promise<string> {
    const missing = async (): Promise<never> => {
      throw unimplemented('the test scheduler has no such verb');
    };
    const handlers: Handlers<typeof nodeV1.NodeServiceService> = {
      session: async function* () {
        yield await missing();
      },
      listNodes: missing,
      updateNode: missing,
      removeNode: missing,
      placeBuild: async (request) => {
        this.placements.push(request);
        const agent = this.agents.find(({ id }) => !request.avoid.includes(id)) ?? this.agents[0];
        return {
          node: nodeV1.NodeRecord.fromPartial({
            id: agent?.id ?? '',
            facts: { hostname: agent?.id ?? '', address: agent?.address ?? '' },
          }),
        };
      },
    };
    const host = new GrpcHost({ listen: '127.0.0.1:0', tls: await this.#identity('scheduler', 's1') }).add(
      nodeV1.NodeServiceService,
      everyone(nodeV1.NodeServiceService),
      handlers,
    );
    this.#closers.push(() => host.stop(100));
    return (await host.start()).address;
  }
}

async function* requests(options: buildV1.BuildOptions, context: Buffer): AsyncGenerator<buildV1.BuildRequest> {
  yield { message: { $case: 'options', value: options } };
  for (let at = 0; at < context.length; at += 64 * 1024) {
    yield { message: { $case: 'context', value: context.subarray(at, at + 64 * 1024) } };
  }
}

import type { containerV1, runtimeV1 } from '@atoll/proto';
import type { AsyncQueue } from '@atoll/rpc';
import type { AttachedProcess, TerminalInput } from '../../hijack/terminal-io.ts';
import type { ResolvedImage } from '../image/resolved-image.ts';
import type { NetworkLookup } from '../network/backend.ts';
import type { ContainerView } from './container-view.ts';
import type { SocketMountPolicy } from './socket-mounts.ts';

export interface ContainerLookup {
  /**
   * By full id, name (with or without slash) or unique prefix of the id.
   * @throws not-found `No such container: x`; invalid-argument for a prefix of several
   */
  find(reference: string): ContainerView;
  /** Newest first. */
  list(): readonly ContainerView[];
  /** Number of nodes, for what only a cluster of one can do. */
  nodeCount(): number;
}

export interface VolumeHomes {
  /** The node a named volume is on; undefined before its first use. */
  volumeHome(name: string): string | undefined;
}

export interface SocketMounts {
  readonly socketMounts: SocketMountPolicy;
}

export interface StopOptions {
  /** Name or number; empty: the container's own. */
  readonly signal: string;
  /** Unset: the container's own; -1: for ever. */
  readonly timeoutSeconds: number | undefined;
}

export interface ResourceUpdate {
  readonly resources: containerV1.Resources;
  readonly restartPolicy: containerV1.RestartPolicy | undefined;
}

/** Changes of desired state. Each resolves when a following lookup shows the change. */
export interface ContainerLifecycle {
  /**
   * @returns warnings
   * @throws already-exists when the name is in use, failed-precondition when no host fits; conflict with the detail `retry` when
   * host ports were chosen that this machine has no room for: another try, with another id, gets others
   */
  create(id: string, spec: containerV1.ContainerSpec, signal: AbortSignal): Promise<readonly string[]>;
  /** False: it was running already. Published ports answer when it resolves. */
  start(view: ContainerView, signal: AbortSignal): Promise<boolean>;
  /** False: it was stopped already. */
  stop(view: ContainerView, options: StopOptions, signal: AbortSignal): Promise<boolean>;
  restart(view: ContainerView, options: StopOptions, signal: AbortSignal): Promise<void>;
  kill(view: ContainerView, killSignal: string, signal: AbortSignal): Promise<void>;
  pause(view: ContainerView, signal: AbortSignal): Promise<void>;
  unpause(view: ContainerView, signal: AbortSignal): Promise<void>;
  rename(view: ContainerView, name: string, signal: AbortSignal): Promise<void>;
  update(view: ContainerView, update: ResourceUpdate, signal: AbortSignal): Promise<void>;
  remove(
    view: ContainerView,
    options: { readonly force: boolean; readonly volumes: boolean },
    signal: AbortSignal,
  ): Promise<void>;
}

export interface AttachOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly logs: boolean;
  readonly stream: boolean;
}

export interface LogOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly sinceNs: bigint;
  readonly untilNs: bigint;
  /** Lines; -1: all. */
  readonly tail: number;
  readonly follow: boolean;
  /** Each write by itself, for its time. */
  readonly timestamps: boolean;
}

export interface LogRecord {
  readonly stream: 'stdout' | 'stderr';
  readonly timeNs: bigint;
  readonly data: Buffer;
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

export interface WaitResult {
  readonly exitCode: number;
  readonly error: string;
}

/** Byte streams of one container, from its node. */
export interface ContainerStreams {
  /** Resolves when the node has attached (or will, when the container starts). */
  attach(
    view: ContainerView,
    options: AttachOptions,
    input: AsyncQueue<TerminalInput>,
    signal: AbortSignal,
  ): Promise<AttachedProcess>;
  /** Survives a restart of the node's agent while following. */
  logs(view: ContainerView, options: LogOptions, signal: AbortSignal): AsyncIterable<LogRecord>;
  /** Resolves when the condition is being watched; the result follows. */
  wait(
    view: ContainerView,
    condition: WaitCondition,
    signal: AbortSignal,
  ): Promise<{ readonly result: Promise<WaitResult> }>;
  stats(
    view: ContainerView,
    options: { readonly stream: boolean; readonly oneShot: boolean },
    signal: AbortSignal,
  ): AsyncIterable<runtimeV1.StatsResponse>;
  resize(
    view: ContainerView,
    size: { readonly height: number; readonly width: number },
    signal: AbortSignal,
  ): Promise<void>;
}

/** Ports of containers that exist, whether they run or not. */
export interface ContainerPorts {
  /**
   * The ports as they are published, host ports chosen.
   * @throws invalid-argument, conflict with docker's text for a port in use; nothing has changed then
   */
  publishPorts(
    view: ContainerView,
    ports: readonly containerV1.PortBinding[],
    signal: AbortSignal,
  ): Promise<readonly containerV1.PortBinding[]>;
  /** The ports that are not published any more. @throws not-found for one that is not published */
  withdrawPorts(
    view: ContainerView,
    ports: readonly containerV1.PortBinding[],
    signal: AbortSignal,
  ): Promise<readonly containerV1.PortBinding[]>;
}

/** What only the node can tell about a container beyond its status. */
export interface ContainerDetails {
  readonly logPath: string;
  readonly execIds: readonly string[];
  /** Undefined before the first probe. */
  readonly health: runtimeV1.Health | undefined;
}

export interface ContainerQuestions {
  details(view: ContainerView, signal: AbortSignal): Promise<ContainerDetails>;
  top(view: ContainerView, psArgs: string, signal: AbortSignal): Promise<runtimeV1.TopResponse>;
  changes(view: ContainerView, signal: AbortSignal): Promise<readonly runtimeV1.Change[]>;
  /** Bytes of writable layers by container id; containers whose node does not answer are absent. */
  sizes(views: readonly ContainerView[], signal: AbortSignal): Promise<ReadonlyMap<string, number>>;
}

export interface ContainerArchive {
  statPath(view: ContainerView, path: string, signal: AbortSignal): Promise<runtimeV1.PathStat>;
  getArchive(
    view: ContainerView,
    path: string,
    signal: AbortSignal,
  ): Promise<{ readonly stat: runtimeV1.PathStat; readonly tar: AsyncIterable<Buffer> }>;
  /** The whole root as a tar, without what is mounted in it. */
  exportRoot(view: ContainerView, signal: AbortSignal): Promise<AsyncIterable<Buffer>>;
  putArchive(
    view: ContainerView,
    options: { readonly path: string; readonly noOverwriteDirNonDir: boolean; readonly copyUidGid: boolean },
    tar: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ): Promise<void>;
}

export interface ContainerImages {
  /**
   * What a name means now: of its image all that never changes; the image's own names may be those of before.
   * @throws not-found `No such image: x:latest`
   */
  resolveContent(reference: string, signal: AbortSignal): Promise<ResolvedImage>;
  /** What the name meant when it was last asked for; undefined when that is not known, or likely not so any more. */
  likelyContent(reference: string): ResolvedImage | undefined;
}

/** An image that is wholly described; its layers are in the store. */
export interface CommittedImage {
  /** OCI image config, as JSON. */
  readonly config: Buffer;
  /** Base first. */
  readonly layers: readonly containerV1.Layer[];
  /** Id of the image the container was made of. */
  readonly parent: string;
  /** Name to point to it; empty: none. */
  readonly tag: string;
}

export interface ContainerCommits {
  /**
   * Stores what the container has written as a layer, which nothing names yet; undefined when nothing was written. With `pause`
   * its processes, when they run, stand still meanwhile, and no longer: also when it fails.
   */
  captureLayer(view: ContainerView, pause: boolean, signal: AbortSignal): Promise<containerV1.Layer | undefined>;
  /** @returns the id of the image */
  storeImage(image: CommittedImage, signal: AbortSignal): Promise<string>;
}

/** Docker events about what clients do with containers, which only the gateway sees. */
export interface ContainerNews {
  /** Never waits and never fails. */
  tell(view: ContainerView, action: string, attributes?: Readonly<Record<string, string>>): void;
}

export interface PruneNews {
  /** `reclaimed` in bytes. */
  tellPrune(type: 'container' | 'image' | 'network' | 'volume', reclaimed: number): void;
}

export interface ContainerBackend
  extends ContainerLookup,
    ContainerLifecycle,
    ContainerPorts,
    ContainerStreams,
    ContainerQuestions,
    ContainerArchive,
    ContainerImages,
    ContainerCommits,
    ContainerNews,
    PruneNews,
    VolumeHomes,
    SocketMounts,
    Pick<NetworkLookup, 'findNetwork'> {}

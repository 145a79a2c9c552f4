import type { DesiredWriter, EventBus, HeldLease, Mirror, ObservedWriter } from '@atoll/bus';
import { failedPrecondition, unavailable } from '@atoll/errors';
import type { containerV1, networkV1, nodeV1, volumeV1 } from '@atoll/proto';
import type { Pipeline } from '@atoll/scheduling';
import { ClusterEvents } from './cluster-events.ts';
import { ClusterPorts } from './cluster-ports.ts';
import { ClusterState } from './cluster-state.ts';
import { ClusterVolumes } from './cluster-volumes.ts';
import { ContainerChanges } from './container-changes.ts';
import { ContainerCreation } from './container-creation.ts';
import { ContainerPortChanges } from './container-port-changes.ts';
import { ContainerRemoval } from './container-removal.ts';
import { ContainerRunning } from './container-running.ts';
import { DesiredWrites } from './desired-writes.ts';
import { JoinTokens, type TokenRecord } from './join-tokens.ts';
import { KeyedQueue } from './keyed-queue.ts';
import type { AddressPools } from './network/address-pools.ts';
import { NetworkConnections } from './network/network-connections.ts';
import { NetworkPushes } from './network/network-pushes.ts';
import { Networks } from './network/networks.ts';
import { PortPushes } from './network/port-pushes.ts';
import { NodeFailure } from './node-failure.ts';
import { NodeHealth } from './node-health.ts';
import { NodeRegistry } from './node-registry.ts';
import { NodeSessions } from './node-sessions.ts';
import type { NodeSubnets } from './node-subnet.ts';
import { Observations } from './observations.ts';
import { Orders } from './orders.ts';
import { Resync } from './resync.ts';
import { SessionService } from './session-service.ts';
import type { Log, TermParts } from './term-parts.ts';
import { VolumeCopying } from './volume/volume-copying.ts';
import { VolumeLeftovers } from './volume/volume-leftovers.ts';
import { VolumeMaking } from './volume/volume-making.ts';
import { VolumeMove } from './volume/volume-move.ts';
import { VolumeOperations } from './volume/volume-operations.ts';
import { VolumeRestoring } from './volume/volume-restoring.ts';

export interface Mirrors {
  readonly containers: Mirror<containerV1.ContainerRecord>;
  readonly nodes: Mirror<nodeV1.NodeRecord>;
  readonly volumes: Mirror<volumeV1.VolumeRecord>;
  readonly leftovers: Mirror<volumeV1.VolumeLeftover>;
  readonly networks: Mirror<networkV1.NetworkRecord>;
  readonly tokens: Mirror<TokenRecord>;
  readonly cluster: Mirror<string>;
  readonly statuses: Mirror<containerV1.ContainerStatus>;
}

export interface TermSettings {
  readonly clusterId: string;
  readonly heartbeatMs: number;
  /** Where gateways take connections of containers to the Docker API. */
  readonly gateways: readonly string[];
  /** Silence after which a node is down. */
  readonly nodeTimeoutMs: number;
  /** The same while no node is heard at all. */
  readonly aloneTimeoutMs: number;
  /** How much longer nodes may take to find a new leader. */
  readonly takeoverGraceMs: number;
  readonly subnets: NodeSubnets;
  readonly pools: AddressPools;
  /** For how long hosts keep a network after their last member left. */
  readonly networkLingerMs: number;
  /** For how long a restore that was cut waits for the call that goes on with it. */
  readonly restoreWaitMs: number;
  readonly pipeline: Pipeline;
  readonly log: Log;
}

/** Tombstones that were seen; `Feed` is one. */
export interface TombstoneSource {
  tombstones(olderThanMs: number): Iterable<{ readonly key: string; readonly revision: bigint }>;
  dropTombstone(key: string): void;
}

export interface TermChannels {
  readonly writer: DesiredWriter;
  readonly observed: ObservedWriter;
  readonly events: EventBus;
  readonly tombstones: TombstoneSource;
}

const NODE_STATUS_MS = 2_000;
const FORGET_EVERY_MS = 60_000;
/** Tombstones stay this long, so that whoever was away for a while still hears of deletions. */
const TOMBSTONE_MS = 3_600_000;
const CLUSTER_KEY = 'id';

/** One term of leadership: everything that is true only while this replica is the writer of desired state. */
export class Term {
  readonly parts: TermParts;
  readonly creation: ContainerCreation;
  readonly volumes: ClusterVolumes;
  readonly volumeCopying: VolumeCopying;
  readonly volumeRestoring: VolumeRestoring;
  readonly volumeMove: VolumeMove;
  readonly running: ContainerRunning;
  readonly removal: ContainerRemoval;
  readonly changes: ContainerChanges;
  readonly portChanges: ContainerPortChanges;
  readonly networks: Networks;
  readonly connections: NetworkConnections;
  readonly registry: NodeRegistry;
  readonly sessions: SessionService;
  readonly tokens: JoinTokens;
  readonly #failure: NodeFailure;
  readonly #timers: NodeJS.Timeout[];
  readonly #published = new Map<string, string>();

  constructor(mirrors: Mirrors, channels: TermChannels, settings: TermSettings, signal: AbortSignal) {
    const { log } = settings;
    const state = new ClusterState(mirrors);
    const hostname = (id: string): string => state.nodes.get(id)?.facts?.hostname ?? id;
    const events = new ClusterEvents(channels.events, hostname, (id) => state.networks.records.get(id));
    const known = [...mirrors.statuses.values()].filter((status) => state.records.get(status.id) !== undefined);
    const observations = new Observations(channels.observed, events, known);
    // A leader that died between the two has deleted the record only.
    for (const { id } of mirrors.statuses.values()) if (state.records.get(id) === undefined) observations.forget(id);
    const sessions = new NodeSessions(channels.writer.epoch, hostname);
    const ports = new ClusterPorts(state, observations);
    const health = new NodeHealth({
      timeoutMs: settings.nodeTimeoutMs,
      aloneTimeoutMs: settings.aloneTimeoutMs,
      graceMs: settings.takeoverGraceMs,
      onDown: (id) => this.#nodeDown(id),
    });
    const pushes = new NetworkPushes(state, observations, sessions, settings.networkLingerMs);
    this.parts = {
      epoch: channels.writer.epoch,
      signal,
      state,
      writes: new DesiredWrites(channels.writer, state),
      observations,
      sessions,
      orders: new Orders(sessions, observations, (id) => pushes.placed(id)),
      events,
      health,
      pushes,
      ports,
      portPushes: new PortPushes(state, ports, sessions),
      pools: settings.pools,
      containerCidr: settings.subnets.cidr,
      turns: new KeyedQueue(),
      pipeline: settings.pipeline,
      log,
    };
    const leftovers = new VolumeLeftovers(this.parts);
    this.volumes = new ClusterVolumes(this.parts, leftovers);
    this.creation = new ContainerCreation(this.parts, this.volumes);
    this.removal = new ContainerRemoval(this.parts, this.volumes);
    this.networks = new Networks(this.parts);
    this.connections = new NetworkConnections(this.parts);
    this.running = new ContainerRunning(this.parts, this.connections, (id) => this.removal.autoRemove(id));
    this.changes = new ContainerChanges(this.parts);
    this.portChanges = new ContainerPortChanges(this.parts);
    this.#failure = new NodeFailure(this.parts);
    this.registry = new NodeRegistry(this.parts, settings.subnets, this.#failure);
    this.tokens = new JoinTokens(mirrors.tokens, this.parts.writes);
    this.sessions = new SessionService(
      this.parts,
      this.registry,
      { resync: new Resync(this.parts, this.removal), removal: this.removal, leftovers },
      { clusterId: settings.clusterId, heartbeatMs: settings.heartbeatMs, gateways: settings.gateways },
    );
    const operations = new VolumeOperations(this.parts, this.running, leftovers);
    const making = new VolumeMaking(this.parts, operations);
    this.volumeCopying = new VolumeCopying(this.parts, operations, making);
    this.volumeRestoring = new VolumeRestoring(this.parts, operations, making, settings.restoreWaitMs);
    this.volumeMove = new VolumeMove(this.parts, operations);
    operations.recover();
    health.start([...state.nodes.values()].map((node) => node.id));
    this.#timers = [
      setInterval(() => this.#publishNodes(), NODE_STATUS_MS),
      setInterval(() => void this.#forgetTombstones(channels.tombstones, channels.writer), FORGET_EVERY_MS),
    ];
  }

  /** Writes the cluster's identity into its state, or checks it. Errors: failed-precondition when the state is another cluster's. */
  async claimState(mirrors: Mirrors, clusterId: string): Promise<void> {
    const stored = mirrors.cluster.get(CLUSTER_KEY);
    if (stored === undefined) {
      await this.parts.writes.putRaw('cluster', CLUSTER_KEY, new TextEncoder().encode(clusterId));
    } else if (stored !== clusterId) {
      throw failedPrecondition(
        `the state found belongs to cluster ${stored}, this is ${clusterId}: nothing is touched`,
      );
    }
  }

  close(leader: HeldLease | undefined): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.parts.health.stop();
    this.#failure.stop();
    this.parts.pushes.close();
    this.parts.portPushes.close();
    this.parts.state.close();
    this.parts.sessions.endAll(
      unavailable('this scheduler does not lead any more; look for the leader', {
        details: leader ? { leader: leader.address } : {},
      }),
    );
  }

  #nodeDown(id: string): void {
    this.parts.sessions.get(id)?.end(unavailable('the host was not heard for too long'));
    this.registry.down(id);
  }

  #publishNodes(): void {
    for (const node of this.parts.state.nodes.values()) {
      const status = this.registry.status(node.id);
      if (status.sinceNs === 0n) continue;
      const text = `${status.readiness} ${status.reservedMemory} ${status.reservedNanoCpus} ${status.containers}`;
      if (this.#published.get(node.id) === text) continue;
      this.#published.set(node.id, text);
      this.registry.publish(node.id);
    }
  }

  async #forgetTombstones(tombstones: TombstoneSource, writer: DesiredWriter): Promise<void> {
    try {
      for (const { key, revision } of [...tombstones.tombstones(TOMBSTONE_MS)]) {
        await writer.forget(key, revision);
        tombstones.dropTombstone(key);
      }
    } catch (error) {
      if (!this.parts.signal.aborted) this.parts.log.warn({ err: error }, 'old tombstones could not be forgotten yet');
    }
  }
}

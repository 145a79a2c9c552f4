import { X509Certificate } from 'node:crypto';
import {
  type Bus,
  CONTAINER_STATUSES,
  CONTAINERS,
  type Collection,
  type DesiredWriter,
  Feed,
  LEFTOVERS,
  LeaderElection,
  NatsDesiredStore,
  NatsEventBus,
  NatsObservedStore,
  NETWORKS,
  NODES,
  VOLUMES,
} from '@atoll/bus';
import { failedPrecondition } from '@atoll/errors';
import type { Authority } from '@atoll/identity';
import { containerV1, identityV1, networkV1, nodeV1, volumeV1 } from '@atoll/proto';
import { GrpcHost, type TlsIdentity } from '@atoll/rpc';
import type { Pipeline } from '@atoll/scheduling';
import { CONTAINER_SERVICE_ROLES, containerService } from './api/grpc/container-service.ts';
import { IDENTITY_SERVICE_ROLES, identityService } from './api/grpc/identity-service.ts';
import { NETWORK_SERVICE_ROLES, networkService } from './api/grpc/network-service.ts';
import { NODE_SERVICE_ROLES, nodeService } from './api/grpc/node-service.ts';
import { VOLUME_SERVICE_ROLES, volumeService } from './api/grpc/volume-service.ts';
import { failpoint } from './domain/failpoint.ts';
import { Identities } from './domain/identities.ts';
import { TOKENS } from './domain/join-tokens.ts';
import { Leadership } from './domain/leadership.ts';
import { AddressPools } from './domain/network/address-pools.ts';
import type { NodeSubnets } from './domain/node-subnet.ts';
import { type Mirrors, Term } from './domain/term.ts';
import type { Log } from './domain/term-parts.ts';
import { ensureDesiredState } from './state-marker.ts';

export interface SchedulerOptions {
  readonly bus: Bus;
  readonly tls: TlsIdentity;
  /** host:port; port 0 picks a free one. */
  readonly listen: string;
  /** Where others reach it; what was bound when not given. */
  readonly advertise?: string;
  readonly authority?: Authority;
  /** Folder of the note that the cluster's state was made. */
  readonly stateDir?: string;
  readonly replicas: number;
  readonly subnets: NodeSubnets;
  /** Where networks without a subnet of their own get one: an IPv4 network, and the bits of one block. */
  readonly networkPool: { readonly cidr: string; readonly prefix: number };
  readonly networkLingerMs: number;
  readonly restoreWaitMs: number;
  readonly pipeline: Pipeline;
  readonly nodeTimeoutMs: number;
  readonly aloneTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly takeoverGraceMs: number;
  /** Told to every host: where gateways take connections of containers to the Docker API. */
  readonly gateways: readonly string[];
  /** Told to hosts that join; this replica when empty. */
  readonly schedulers: readonly string[];
  readonly registry: string;
  readonly log: Log;
}

/** A key that says which cluster the state belongs to. */
const CLUSTER: Collection<string> = {
  kind: 'cluster',
  encode: (id) => new TextEncoder().encode(id),
  decode: (bytes) => new TextDecoder().decode(bytes),
};

/** One replica of the scheduler: always a server, at times the leader. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #abort = new AbortController();
  #host: GrpcHost | undefined;
  #feeds: Feed[] = [];
  #events: NatsEventBus | undefined;
  #election: LeaderElection | undefined;
  #leadership: Leadership | undefined;
  #campaign: Promise<void> | undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Leads and has taken over all state. */
  get serving(): boolean {
    return this.#leadership?.leads ?? false;
  }

  /** Listens, then takes part in the election. The answer is the bound address. */
  async start(): Promise<{ readonly address: string }> {
    const { bus, tls, log, replicas, networkPool } = this.#options;
    const clusterId = clusterIdOf(tls);
    const pools = new AddressPools(networkPool.cidr, networkPool.prefix, clusterId);
    const desired = new NatsDesiredStore(bus, { replicas });
    const observed = new NatsObservedStore(bus, { replicas });
    await ensureDesiredState(desired, this.#options.stateDir, clusterId);
    await observed.ensure();
    this.#events = new NatsEventBus(bus, { replicas });
    const desiredFeed = new Feed(desired.source(), { name: 'desired', onRegress: 'keep', log });
    const observedFeed = new Feed(observed.source(), { name: 'observed', onRegress: 'rebuilt', log });
    this.#feeds = [desiredFeed, observedFeed];
    const mirrors: Mirrors = {
      containers: desiredFeed.mirror(CONTAINERS),
      nodes: desiredFeed.mirror(NODES),
      volumes: desiredFeed.mirror(VOLUMES),
      leftovers: desiredFeed.mirror(LEFTOVERS),
      networks: desiredFeed.mirror(NETWORKS),
      tokens: desiredFeed.mirror(TOKENS),
      cluster: desiredFeed.mirror(CLUSTER),
      statuses: observedFeed.mirror(CONTAINER_STATUSES),
    };
    const leadership = new Leadership(tls.id, () => this.#election?.leader);
    this.#leadership = leadership;
    const { address } = await this.#listen(leadership, clusterId);
    const self = { leaderId: tls.id, address: this.#options.advertise ?? address };
    this.#election = new LeaderElection({ desired, observed, observedFeed, self, log });
    for (const feed of this.#feeds) feed.start();
    const term = (writer: DesiredWriter, signal: AbortSignal): Promise<void> =>
      this.#lead({ mirrors, desiredFeed, observedFeed, observed, leadership, clusterId, pools }, writer, signal);
    this.#campaign = this.#election.run(term, this.#abort.signal);
    return { address };
  }

  /** Gives the leadership up, ends all calls, closes the bus. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#campaign;
    await this.#host?.stop();
    await this.#events?.close();
    for (const feed of this.#feeds) await feed.close();
    await this.#options.bus.close();
  }

  async #listen(leadership: Leadership, clusterId: string): Promise<{ readonly address: string }> {
    const { tls, listen, authority, schedulers, registry, advertise, log } = this.#options;
    const identities = new Identities(leadership, {
      authority,
      clusterId,
      schedulers: schedulers.length > 0 ? schedulers : advertise ? [advertise] : [listen],
      registry,
    });
    this.#host = new GrpcHost({
      listen,
      tls,
      // Hosts that join have no certificate yet; every other method refuses callers without one.
      requireClientCertificate: false,
      onInternalError: (method, error) => log.error({ method, err: error }, 'a call failed inside'),
    })
      .add(containerV1.ContainerServiceService, CONTAINER_SERVICE_ROLES, containerService(leadership))
      .add(volumeV1.VolumeServiceService, VOLUME_SERVICE_ROLES, volumeService(leadership))
      .add(networkV1.NetworkServiceService, NETWORK_SERVICE_ROLES, networkService(leadership))
      .add(nodeV1.NodeServiceService, NODE_SERVICE_ROLES, nodeService(leadership))
      .add(identityV1.IdentityServiceService, IDENTITY_SERVICE_ROLES, identityService(identities));
    return this.#host.start();
  }

  async #lead(
    found: {
      readonly mirrors: Mirrors;
      readonly desiredFeed: Feed;
      readonly observedFeed: Feed;
      readonly observed: NatsObservedStore;
      readonly leadership: Leadership;
      readonly clusterId: string;
      readonly pools: AddressPools;
    },
    writer: DesiredWriter,
    signal: AbortSignal,
  ): Promise<void> {
    const { mirrors, desiredFeed, observedFeed, observed, leadership, clusterId, pools } = found;
    const events = this.#events;
    if (!events) throw failedPrecondition('the scheduler was not started');
    failpoint('lease.1-taken');
    // All that was written before the takeover is in the mirrors before anything is decided.
    await desiredFeed.caughtUp(writer.epoch, signal);
    await observedFeed.ready(AbortSignal.any([signal, AbortSignal.timeout(OBSERVED_WAIT_MS)])).catch(() => undefined);
    signal.throwIfAborted();
    failpoint('lease.2-caught-up');
    const observedWriter = observed.writer();
    const term = new Term(
      mirrors,
      { writer, observed: observedWriter, events, tombstones: desiredFeed },
      { ...this.#options, clusterId, pools },
      signal,
    );
    try {
      await term.claimState(mirrors, clusterId);
      failpoint('lease.3-claimed');
      leadership.set(term);
      this.#options.log.info(
        { epoch: String(writer.epoch), containers: mirrors.containers.size, nodes: mirrors.nodes.size },
        'serving as leader',
      );
      failpoint('lease.4-serving');
      await aborted(signal);
    } finally {
      leadership.set(undefined);
      term.close(this.#election?.leader);
      await observedWriter.close();
    }
  }
}

const OBSERVED_WAIT_MS = 3_000;

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** The cluster's id is the name of its CA. */
function clusterIdOf(tls: TlsIdentity): string {
  const match = /^CN=(.+)$/m.exec(new X509Certificate(tls.ca).subject);
  if (!match?.[1]) throw failedPrecondition('the CA certificate names no cluster (CN of its subject)');
  return match[1];
}

import { formatApiVersion, MAXIMUM_API_VERSION } from '@atoll/docker-api';
import { reasonOf } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import { buildV1, imageV1 } from '@atoll/proto';
import type { Channel, ChannelPool } from '@atoll/rpc';
import { Agents } from './adapters/agents.ts';
import { BuilderBackend } from './adapters/build-backend.ts';
import type { ClusterMirrors } from './adapters/cluster-state.ts';
import { ClusterState } from './adapters/cluster-state.ts';
import { composeBackends } from './adapters/compose-backends.ts';
import { type EventSink, EventTeller } from './adapters/event-teller.ts';
import { StoreBackend } from './adapters/image-backend.ts';
import { KnownNetworks } from './adapters/known-networks.ts';
import { LeaderCaller } from './adapters/leader-caller.ts';
import { PublishedPorts } from './adapters/published-ports.ts';
import { ClusterSystem, type EventSource } from './adapters/system-backend.ts';
import { gatewayRoutes } from './gateway-routes.ts';
import { isOwnAddress } from './ports/own-addresses.ts';
import { RelayAccess } from './relay/relay-access.ts';
import { RelayListener, type RelayListenerOptions } from './relay/relay-listener.ts';
import { containerOf } from './relay/relayed-socket.ts';
import type { SocketMountPolicy } from './resources/container/socket-mounts.ts';
import { SERVER_VERSION } from './resources/system/info.ts';
import { Router } from './routing/router.ts';
import { DockerServer, type DockerServerOptions } from './server/docker-server.ts';

export interface GatewayOptions {
  readonly listen: Omit<DockerServerOptions, 'router'>;
  readonly mirrors: ClusterMirrors;
  readonly events: EventSource & EventSink;
  readonly channels: Pick<ChannelPool, 'get'>;
  readonly schedulers: readonly [string, ...string[]];
  readonly registry: string;
  readonly builder: string;
  /** Certificate of the cluster's CA: what the cluster's id is made from. */
  readonly ca: Buffer;
  readonly socketMounts: SocketMountPolicy;
  /** Where agents bring connections of containers; absent: nowhere. */
  readonly relay?: Pick<RelayListenerOptions, 'host' | 'port' | 'tls'>;
  readonly logger: Logger;
}

const HEADERS = {
  'Api-Version': formatApiVersion(MAXIMUM_API_VERSION),
  'Docker-Experimental': 'false',
  Ostype: 'linux',
  Server: `Atoll/${SERVER_VERSION} (linux)`,
  'Builder-Version': '1',
  Swarm: 'inactive',
};
/** Errors that are nobody's fault but ours, or of the parts behind us. */
const FIRST_CONTACT_MS = 3_000;
const OURS: readonly string[] = ['internal', 'data-loss', 'unavailable', 'deadline-exceeded'];

/** The Docker API of a cluster: backends over gRPC and mirrors, behind one router on one server. */
export class Gateway {
  readonly #server: DockerServer;
  readonly #relay: RelayListener | undefined;
  readonly #ports: PublishedPorts;
  readonly #agents: Agents;
  readonly #state: ClusterState;
  readonly #peers: Channel[] = [];
  #stopWarming: (() => void) | undefined;

  constructor(options: GatewayOptions) {
    const { channels, logger } = options;
    this.#state = new ClusterState(options.mirrors);
    this.#agents = new Agents(channels);
    this.#ports = new PublishedPorts(this.#state, isOwnAddress, (container, port, error) =>
      logger.warn({ container, port, err: error }, 'a published port cannot be opened on this machine'),
    );
    for (const [address, role] of [
      [options.registry, 'registry'],
      [options.builder, 'image-builder'],
      [options.schedulers[0], 'scheduler'],
    ] as const) {
      const channel = channels.get(address, role);
      channel.connect();
      this.#peers.push(channel);
    }
    const images = channels
      .get(options.registry, 'registry')
      .client(imageV1.ImageServiceService, { carried: ['identifyImage', 'resolveImage'] });
    const store = new StoreBackend(images, this.#state);
    const backends = composeBackends({
      state: this.#state,
      networks: new KnownNetworks(options.mirrors.networks),
      agents: this.#agents,
      leader: new LeaderCaller(options.schedulers, channels),
      ports: this.#ports,
      store,
      images,
      teller: new EventTeller(options.events),
      builder: new BuilderBackend(
        channels.get(options.builder, 'image-builder').client(buildV1.BuildServiceService),
        () => store.forgetNames(),
      ),
      system: new ClusterSystem(store, options.events, options.ca),
      socketMounts: options.socketMounts,
    });
    const router = new Router({
      table: gatewayRoutes(backends),
      headers: HEADERS,
      onError: (request, error) => {
        const level = OURS.includes(reasonOf(error)) ? 'error' : 'debug';
        const container = containerOf(request.socket);
        logger[level]({ method: request.method, url: request.url, container, err: error }, 'request failed');
      },
    });
    this.#server = new DockerServer({ ...options.listen, router });
    this.#relay = options.relay && this.#relayListener(options.relay, options);
  }

  /** Where agents reach this gateway; undefined when they do not. */
  get relayPort(): number | undefined {
    return this.#relay?.port;
  }

  /**
   * Serves once the other services are reached, or after a moment without them: what starts together must not refuse its first calls.
   * @returns the TCP port, when there is one
   */
  async start(): Promise<number | undefined> {
    await Promise.all(this.#peers.map((peer) => peer.connected(FIRST_CONTACT_MS)));
    this.#ports.start();
    for (const { record } of this.#state.nodes()) this.#agents.warm(record);
    this.#stopWarming = this.#state.onNodeChange((node) => this.#agents.warm(node));
    const port = await this.#server.start();
    await this.#relay?.start();
    return port;
  }

  async stop(): Promise<void> {
    this.#stopWarming?.();
    this.#relay?.stop();
    await this.#server.stop();
    await this.#ports.stop();
  }

  #relayListener(
    listen: Pick<RelayListenerOptions, 'host' | 'port' | 'tls'>,
    { socketMounts, logger }: GatewayOptions,
  ): RelayListener {
    return new RelayListener({
      ...listen,
      access: new RelayAccess(this.#state, socketMounts),
      accept: (socket) => this.#server.accept(socket),
      onRefused: (container, node, error) => logger.warn({ container, node, err: error }, 'a connection is refused'),
    });
  }
}

import type { Logger } from '@atoll/logging';
import type { containerV1, networkV1, nodeV1 } from '@atoll/proto';
import type { Gateways } from '../api-relay/gateways.ts';
import type { ContainerManager } from '../containers/container-manager.ts';
import type { ForwardedPorts } from '../network/forwarded-ports.ts';
import type { HostLinks } from '../network/host-links.ts';
import type { HostNetwork } from '../network/host-network.ts';
import type { UserNetworks } from '../network/user/user-networks.ts';
import type { VolumeTransfer } from '../volumes/volume-transfer.ts';
import type { OrderWorker } from './order-worker.ts';
import type { SessionDelegate } from './session.ts';

/** The agent's side of its session with the leader. */
export class AgentDelegate implements SessionDelegate {
  readonly #facts: nodeV1.NodeFacts;
  readonly #links: HostLinks;
  readonly #containers: ContainerManager;
  readonly #network: HostNetwork;
  readonly #networks: UserNetworks;
  readonly #forwarded: ForwardedPorts;
  readonly #gateways: Gateways;
  readonly #worker: OrderWorker;
  readonly #transfer: Pick<VolumeTransfer, 'endAll'>;
  readonly #logger: Logger;

  constructor(
    facts: nodeV1.NodeFacts,
    links: HostLinks,
    containers: ContainerManager,
    network: HostNetwork,
    networks: UserNetworks,
    forwarded: ForwardedPorts,
    gateways: Gateways,
    worker: OrderWorker,
    transfer: Pick<VolumeTransfer, 'endAll'>,
    logger: Logger,
  ) {
    this.#facts = facts;
    this.#links = links;
    this.#containers = containers;
    this.#network = network;
    this.#networks = networks;
    this.#forwarded = forwarded;
    this.#gateways = gateways;
    this.#worker = worker;
    this.#transfer = transfer;
    this.#logger = logger;
  }

  async facts(): Promise<nodeV1.NodeFacts> {
    return { ...this.#facts, ...(await this.#links.forHello()) };
  }

  containers(): readonly containerV1.ContainerStatus[] {
    return this.#containers.statuses();
  }

  networks(): readonly string[] {
    return this.#networks.ids();
  }

  async welcomed(node: nodeV1.NodeRecord, gateways: readonly string[], isNew: boolean): Promise<void> {
    this.#gateways.set(gateways);
    // No copy of a volume outlives the leader that had it made.
    if (isNew) await this.#transfer.endAll();
    this.#networks.sessionBegan();
    this.#forwarded.sessionBegan();
    if (node.containerSubnet === '') return;
    try {
      this.#network.configure(node.containerSubnet);
      await this.#network.ready();
    } catch (error) {
      // A host whose bridge cannot be made still runs containers that need none; those that do say why they cannot start.
      this.#logger.error({ err: error }, 'the bridge network cannot be made');
    }
  }

  network(state: networkV1.NetworkState): Promise<void> {
    return this.#networks.apply(state);
  }

  ports(state: networkV1.PortState): void {
    void this.#forwarded.apply(state);
  }

  obey(order: nodeV1.Order): Promise<nodeV1.OrderResult> {
    return this.#worker.obey(order);
  }
}

import type { Logger } from '@atoll/logging';
import { containerV1 } from '@atoll/proto';
import type { GrpcHost } from '@atoll/rpc';
import type { ApiRelay } from '../api-relay/api-relay.ts';
import type { AppArmor } from '../apparmor/apparmor.ts';
import type { ContainerManager } from '../containers/container-manager.ts';
import { isActive } from '../containers/container-states.ts';
import type { ExecRegistry } from '../execs/exec-registry.ts';
import type { HealthMonitor } from '../health/health-monitor.ts';
import type { LayerStore } from '../images/layer-store.ts';
import type { NameServer } from '../network/dns/name-server.ts';
import type { ForwardedPorts } from '../network/forwarded-ports.ts';
import type { HostLinks } from '../network/host-links.ts';
import type { HostNetwork } from '../network/host-network.ts';
import type { UserNetworks } from '../network/user/user-networks.ts';
import type { ShimSpawner } from '../runtime/shim-spawner.ts';
import type { NodeMemory } from './node-memory.ts';
import type { Session } from './session.ts';

export interface NodeAgentOptions {
  readonly containers: ContainerManager;
  readonly network: HostNetwork;
  readonly networks: UserNetworks;
  readonly forwarded: ForwardedPorts;
  readonly names: NameServer;
  readonly apiRelay: ApiRelay;
  readonly layers: LayerStore;
  readonly memory: NodeMemory;
  readonly host: GrpcHost;
  readonly session: Session;
  readonly links: HostLinks;
  readonly health: HealthMonitor;
  readonly spawner: ShimSpawner;
  readonly execs: ExecRegistry;
  readonly apparmor: AppArmor;
  readonly logger: Logger;
}

const COLLECT_MS = 10 * 60_000;

/** The agent as a whole: in which order it starts, and how it leaves without touching a container. */
export class NodeAgent {
  readonly #options: NodeAgentOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #collector: NodeJS.Timeout | undefined;

  constructor(options: NodeAgentOptions) {
    this.#options = options;
  }

  async start(): Promise<{ readonly address: string }> {
    const {
      containers,
      network,
      networks,
      forwarded,
      names,
      apiRelay,
      memory,
      layers,
      host,
      session,
      links,
      health,
      execs,
      logger,
    } = this.#options;
    if (memory.containerSubnet !== '') network.configure(memory.containerSubnet);
    await networks.recover().catch((err: unknown) => logger.error({ err }, 'networks are not in order'));
    await forwarded.recover().catch((err: unknown) => logger.error({ err }, 'published ports are not in order'));
    await names.start();
    await containers.recover();
    for (const { id } of containers.list()) names.containerChanged(id);
    await networks.bind().catch((err: unknown) => logger.error({ err }, 'networks are not in order'));
    await apiRelay.start();
    if (network.configured) {
      // What was published before is published again, also when somebody has flushed the kernel's tables meanwhile.
      await network.ready().catch((error: unknown) => logger.error({ err: error }, 'the network is not in order'));
      await forwarded.flush();
    }
    await Promise.all(containers.list().map(({ id }) => execs.recover(id)));
    containers.listen((status) => session.report(status));
    containers.listen(({ id }) => names.containerChanged(id));
    containers.listen(({ id, state }) => {
      if (state === containerV1.ContainerState.REMOVED) execs.forgetContainer(id);
    });
    const { address } = await host.start();
    logger.info({ address, containers: containers.list().length }, 'serving');
    this.#collector = setInterval(() => {
      layers.collect().catch((error: unknown) => logger.warn({ err: error }, 'unused layers were not removed'));
    }, COLLECT_MS).unref();
    health.start();
    links.start();
    this.#running = session.run(this.#stopping.signal);
    return { address };
  }

  /** Ends the agent; its containers go on. */
  async stop(): Promise<void> {
    const { containers, network, networks, forwarded, names, apiRelay, host, links, health, spawner, execs, apparmor } =
      this.#options;
    this.#stopping.abort(new DOMException('the agent is stopping', 'AbortError'));
    clearInterval(this.#collector);
    health.stop();
    links.stop();
    await this.#running;
    await host.stop();
    await forwarded.stop();
    network.stop();
    await networks.stop();
    await names.stop();
    await apiRelay.stop();
    await execs.close();
    await containers.detach();
    await spawner.close();
    await apparmor.close(containers.list().some(({ status }) => isActive(status.state)));
  }
}

import { isIP } from 'node:net';
import { failedPrecondition, invalidArgument } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import type { containerV1 } from '@atoll/proto';
import { runTool } from '../processes/run-tool.ts';
import type { EndpointPlan } from '../runtime/endpoints-plan.ts';
import type { NetworkPlan } from '../runtime/plan.ts';
import { AddressGuard } from './address-guard.ts';
import { AddressPool } from './address-pool.ts';
import { ensureBridge } from './bridge.ts';
import type { HardwareAddress } from './guard-ruleset.ts';
import { macOf } from './ipv4.ts';
import { type ForwardedTarget, listTable, type Protocol, type PublishedPort, tableOf } from './nft-ruleset.ts';
import { onLinkRoutes } from './on-link-routes.ts';
import { PortPublisher } from './port-publisher.ts';
import { Subnet } from './subnet.ts';
import { TableElements } from './table-elements.ts';
import { TableWatch } from './table-watch.ts';
import type { PublishedAddresses } from './user/endpoint-links.ts';

export interface HostNetworkOptions {
  readonly bridge: string;
  readonly mtu: number;
  /** Path of the shim, which watches the kernel's tables. */
  readonly shim: string;
  readonly logger: Logger;
}

/** A container's place on the bridge. */
export interface Endpoint {
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly macAddress: string;
  /** Inside the container. */
  readonly interfaceName: string;
}

const PROTOCOLS: readonly Protocol[] = ['tcp', 'udp', 'sctp'];
/** How often the bridge is looked at, which nothing watches. */
const LOOK_MS = 60_000;
/** How often bridge and tables are written in any case, at a tenth of a second of CPU for three hosts: elements of sets are not watched. */
const ASSERT_MS = 600_000;

/** The bridge network of this host: addresses, the bridge itself and the published ports. */
export class HostNetwork {
  readonly #options: HostNetworkOptions;
  #pool: AddressPool | undefined;
  #ports: PortPublisher | undefined;
  #guard: AddressGuard | undefined;
  #elements: TableElements | undefined;
  #watch: TableWatch | undefined;
  /** The table of addresses as the kernel shows it when it is ours, without elements. */
  #expected: string | undefined;
  #ready: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #assertedAt = 0;

  constructor(options: HostNetworkOptions) {
    this.#options = options;
  }

  /** Fixes the block of addresses. The same block again changes nothing; another one is refused while containers may use the first. */
  configure(cidr: string): void {
    const subnet = Subnet.parse(cidr);
    if (this.#pool) {
      if (this.#pool.subnet.cidr === subnet.cidr) return;
      throw failedPrecondition(
        `this host's containers have addresses of ${this.#pool.subnet.cidr}; remove them and restart the agent to use ${cidr}`,
      );
    }
    this.#pool = new AddressPool(subnet);
    const { bridge, shim, logger } = this.#options;
    this.#elements = new TableElements(shim, logger);
    this.#ports = new PortPublisher(bridge, subnet, this.#elements, (ports) => this.#forgetFlows(ports));
    this.#guard = new AddressGuard(bridge, subnet);
  }

  get configured(): boolean {
    return this.#pool !== undefined;
  }

  /** The bridge and the table are there afterwards, and looked after from now on. */
  ready(): Promise<void> {
    const { subnet } = this.#required().pool;
    this.#ready ??= this.#assert(subnet).catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    this.#timer ??= setInterval(() => this.#look(subnet), LOOK_MS).unref();
    this.#watch ??= this.#startWatch(subnet);
    return this.#ready;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#watch?.stop();
    this.#elements?.stop();
  }

  /** A new address for a container. Throws resource-exhausted, invalid-argument for the hardware address of the bridge. */
  take(id: string, macAddress: string, interfaceName = 'eth0'): Endpoint {
    const { pool } = this.#required();
    if (macAddress.toLowerCase() === macOf(pool.subnet.gateway)) {
      throw invalidArgument(`the hardware address ${macAddress} is the bridge's own; choose another one`);
    }
    return this.#endpoint(pool.take(id), macAddress, interfaceName);
  }

  /** Notes what a container has had since before the agent started. */
  claim(id: string, { address, macAddress }: Endpoint): void {
    if (!this.#pool) return;
    if (!this.#pool.claim(address, id)) {
      this.#options.logger.warn({ container: id, address }, 'the address of a container is not of this host');
    }
    if (macAddress !== macOf(address)) this.#guard?.remember(id, { mac: macAddress, address });
  }

  /** Notes ports that were published before the agent started; with `ready` they are again. */
  remember(id: string, ports: readonly PublishedPort[]): void {
    this.#ports?.remember(id, ports);
  }

  release(id: string, address: string): void {
    this.#pool?.release(address, id);
  }

  plan(id: string, endpoint: Endpoint): NetworkPlan {
    return {
      bridge: this.#options.bridge,
      hostInterface: hostInterfaceOf(id),
      containerInterface: endpoint.interfaceName,
      address: endpoint.address,
      prefixLength: endpoint.prefixLength,
      gateway: endpoint.gateway,
      macAddress: endpoint.macAddress,
      mtu: this.#options.mtu,
    };
  }

  /** The same link as one that a running container is given, or is to keep. */
  link(id: string, endpoint: Endpoint): EndpointPlan {
    const { address, prefixLength, gateway: _, ...link } = this.plan(id, endpoint);
    return { ...link, addresses: [`${address}/${prefixLength}`] };
  }

  /**
   * Lets a container that is about to run speak on the bridge, if it is there, and be reached, by these ports in the place of those
   * before. Throws conflict when a port is taken.
   */
  async publish(id: string, own: HardwareAddress | undefined, ports: readonly PublishedPort[]): Promise<void> {
    if (own && own.mac !== macOf(own.address)) await this.#required().guard.admit(id, own);
    else await this.#guard?.withdraw(id);
    if (ports.length === 0) await this.#ports?.withdraw(id);
    else await this.#required().ports.publish(id, ports);
  }

  async withdraw(id: string): Promise<void> {
    await Promise.all([this.#ports?.withdraw(id), this.#guard?.withdraw(id)]);
  }

  /** Forwards published ports of other hosts, by key; undefined ends it. */
  async forward(changes: ReadonlyMap<string, ForwardedTarget | undefined>): Promise<void> {
    const { ports } = this.#required();
    await this.ready();
    await ports.forward(changes);
  }

  isForwarded(key: string): boolean {
    return this.#ports?.isForwarded(key) ?? false;
  }

  #look(subnet: Subnet): void {
    const { bridge, logger } = this.#options;
    // The route comes with the bridge's address, and goes with it or when the bridge is down.
    const isUp = onLinkRoutes((name) => name !== bridge).includes(subnet.cidr);
    if (isUp && performance.now() - this.#assertedAt < ASSERT_MS) return;
    this.#assert(subnet).catch((error: unknown) => logger.warn({ err: error }, 'network not in order'));
  }

  async #assert(subnet: Subnet): Promise<void> {
    this.#assertedAt = performance.now();
    await ensureBridge(this.#options.bridge, subnet, this.#options.mtu);
    await Promise.all([
      this.#ports?.assert(),
      // A kernel without bridge tables (CONFIG_NF_TABLES_BRIDGE) has containers that can speak for each other, but has them.
      this.#guard?.assert().catch((error: unknown) => {
        this.#options.logger.error(
          { err: error },
          "containers can use each other's addresses: the kernel took no rules",
        );
      }),
    ]);
    this.#expected ??= await listTable('bridge', this.#options.bridge);
  }

  /** Without it a client that goes on sending datagrams is not heard until it rests for half a minute. */
  async #forgetFlows(ports: readonly number[]): Promise<void> {
    const { shim, logger } = this.#options;
    try {
      await runTool(shim, ['forget-flows', ...ports.map(String)]);
    } catch (err) {
      logger.warn({ err }, 'UDP clients may go on to where a port led before');
    }
  }

  #startWatch(subnet: Subnet): TableWatch {
    const { bridge, shim, logger } = this.#options;
    const watch = new TableWatch({
      shim,
      table: tableOf(bridge),
      logger,
      onChange: async () => {
        // Our own writing is told too.
        const same = this.#expected === undefined || (await listTable('bridge', bridge)) === this.#expected;
        if (same && (await this.#ports?.intact())) return;
        logger.warn({ bridge }, 'somebody has changed the rules of the network; they are written again');
        await this.#assert(subnet);
      },
    });
    watch.start();
    return watch;
  }

  #endpoint(address: string, macAddress: string, interfaceName: string): Endpoint {
    const { subnet } = this.#required().pool;
    return {
      address,
      prefixLength: subnet.prefixLength,
      gateway: subnet.gateway,
      macAddress: macAddress === '' ? macOf(address) : macAddress.toLowerCase(),
      interfaceName,
    };
  }

  #required(): { readonly pool: AddressPool; readonly ports: PortPublisher; readonly guard: AddressGuard } {
    if (!this.#pool || !this.#ports || !this.#guard) {
      throw failedPrecondition('this host has no block of container addresses yet: it has not met its scheduler');
    }
    return { pool: this.#pool, ports: this.#ports, guard: this.#guard };
  }
}

/** Name of a container's link on the host: at most 15 bytes. */
export function hostInterfaceOf(id: string): string {
  return `atv${id.slice(0, 12)}`;
}

/**
 * The bindings of a record with host ports, as this host publishes them for a container with these addresses; without one of a
 * family there are none of it. Throws invalid-argument.
 */
export function publishedPorts(
  bindings: readonly containerV1.PortBinding[],
  addresses: PublishedAddresses,
): readonly PublishedPort[] {
  const ports = new Map<string, PublishedPort>();
  for (const { containerPort, protocol, hostIp, hostPort } of bindings) {
    if (hostPort === 0) continue;
    const known = PROTOCOLS.find((name) => name === (protocol || 'tcp'));
    if (!known) throw invalidArgument(`invalid proto: ${protocol}`);
    const any = hostIp === '' || hostIp === '0.0.0.0' || hostIp === '::';
    const put = (address: string, at: string): void => {
      if (address === '') return;
      ports.set(`${isIP(address)} ${known} ${at} ${hostPort}`, {
        protocol: known,
        hostIp: at,
        hostPort,
        address,
        containerPort,
      });
    };
    // Docker publishes on IPv4 and IPv6 with two bindings; here `::` alone is for both as well.
    if (any || isIP(hostIp) !== 6) put(addresses.ipv4, any ? '' : hostIp);
    if (hostIp === '' || hostIp === '::') put(addresses.ipv6, '');
    else if (isIP(hostIp) === 6) put(addresses.ipv6, hostIp);
  }
  return [...ports.values()];
}

import { failedPrecondition, invalidArgument } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import type { containerV1 } from '@atoll/proto';
import type { NetworkPlan } from '../runtime/plan.ts';
import { AddressPool } from './address-pool.ts';
import { ensureBridge } from './bridge.ts';
import { macOf } from './ipv4.ts';
import type { Protocol, PublishedPort } from './nft-ruleset.ts';
import { PortPublisher } from './port-publisher.ts';
import { Subnet } from './subnet.ts';

export interface HostNetworkOptions {
  readonly bridge: string;
  readonly mtu: number;
  readonly logger: Logger;
}

/** A container's place on the bridge. */
export interface Endpoint {
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly macAddress: string;
}

const PROTOCOLS: readonly Protocol[] = ['tcp', 'udp', 'sctp'];
/** How often the kernel's bridge and table are looked after: others may flush rules. */
const ASSERT_MS = 60_000;

/** The bridge network of this host: addresses, the bridge itself and the published ports. */
export class HostNetwork {
  readonly #options: HostNetworkOptions;
  #pool: AddressPool | undefined;
  #ports: PortPublisher | undefined;
  #ready: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

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
    this.#ports = new PortPublisher(this.#options.bridge, subnet);
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
    this.#timer ??= setInterval(() => {
      this.#assert(subnet).catch((error: unknown) => this.#options.logger.warn({ err: error }, 'network not in order'));
    }, ASSERT_MS).unref();
    return this.#ready;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** A new address for a container. Throws resource-exhausted. */
  take(id: string, macAddress: string): Endpoint {
    const { pool } = this.#required();
    return this.#endpoint(pool.take(id), macAddress);
  }

  /** Notes what a container has had since before the agent started. */
  claim(id: string, address: string, ports: readonly PublishedPort[]): void {
    if (!this.#pool || !this.#ports) return;
    if (!this.#pool.claim(address, id)) {
      this.#options.logger.warn({ container: id, address }, 'the address of a container is not of this host');
    }
    this.#ports.remember(id, ports);
  }

  release(id: string, address: string): void {
    this.#pool?.release(address, id);
  }

  plan(id: string, endpoint: Endpoint): NetworkPlan {
    return {
      bridge: this.#options.bridge,
      hostInterface: hostInterfaceOf(id),
      containerInterface: 'eth0',
      address: endpoint.address,
      prefixLength: endpoint.prefixLength,
      gateway: endpoint.gateway,
      macAddress: endpoint.macAddress,
      mtu: this.#options.mtu,
    };
  }

  publish(id: string, ports: readonly PublishedPort[]): Promise<void> {
    return this.#required().ports.publish(id, ports);
  }

  async withdraw(id: string): Promise<void> {
    await this.#ports?.withdraw(id);
  }

  async #assert(subnet: Subnet): Promise<void> {
    await ensureBridge(this.#options.bridge, subnet, this.#options.mtu);
    await this.#ports?.assert();
  }

  #endpoint(address: string, macAddress: string): Endpoint {
    const { subnet } = this.#required().pool;
    return {
      address,
      prefixLength: subnet.prefixLength,
      gateway: subnet.gateway,
      macAddress: macAddress === '' ? macOf(address) : macAddress.toLowerCase(),
    };
  }

  #required(): { readonly pool: AddressPool; readonly ports: PortPublisher } {
    if (!this.#pool || !this.#ports) {
      throw failedPrecondition('this host has no block of container addresses yet: it has not met its scheduler');
    }
    return { pool: this.#pool, ports: this.#ports };
  }
}

/** Name of a container's link on the host: at most 15 bytes. */
export function hostInterfaceOf(id: string): string {
  return `atv${id.slice(0, 12)}`;
}

/** The bindings of a record with host ports, as this host publishes them. Throws invalid-argument. */
export function publishedPorts(
  bindings: readonly containerV1.PortBinding[],
  address: string,
): readonly PublishedPort[] {
  const ports = new Map<string, PublishedPort>();
  for (const { containerPort, protocol, hostIp, hostPort } of bindings) {
    if (hostPort === 0) continue;
    const known = PROTOCOLS.find((name) => name === (protocol || 'tcp'));
    if (!known) throw invalidArgument(`invalid proto: ${protocol}`);
    // Docker publishes on IPv4 and IPv6 with two bindings; there is one family here.
    const at = hostIp === '0.0.0.0' || hostIp === '::' ? '' : hostIp;
    ports.set(`${known} ${at} ${hostPort}`, { protocol: known, hostIp: at, hostPort, address, containerPort });
  }
  return [...ports.values()];
}

import { type Macvlan, macvlanOf } from '@atoll/docker-api';
import { failedPrecondition, invalidArgument } from '@atoll/errors';
import type { networkV1 } from '@atoll/proto';
import type { HostedNetwork } from './hosted-network.ts';
import { Membership } from './membership.ts';
import type { KernelLink } from './overlay-device.ts';
import { hostLinks } from './user-network.ts';

/**
 * A macvlan network on this host. Its links are on an interface the host has from elsewhere, and in containers as a whole: the network has no device,
 * rule or entry of its own here, only the names of its members.
 */
export class MacvlanNetwork implements HostedNetwork {
  readonly membership = new Membership();
  readonly isEncrypted = false;
  readonly #hostIp: string;
  #record: networkV1.NetworkRecord;

  /** @param hostIp the address other hosts know this one by */
  constructor(record: networkV1.NetworkRecord, hostIp: string) {
    this.#record = record;
    this.#hostIp = hostIp;
  }

  get record(): networkV1.NetworkRecord {
    return this.#record;
  }

  get mtu(): number {
    return this.#record.mtu;
  }

  apply(state: networkV1.NetworkState): readonly string[] {
    this.#record = state.network ?? this.#record;
    return this.membership.apply(state);
  }

  async ready(): Promise<void> {
    const reason = refusal(parentOf(this.#record), await hostLinks(), this.#hostIp);
    if (reason !== undefined) throw failedPrecondition(`network ${this.#record.name}: ${reason}`);
  }

  async follow(): Promise<void> {}

  async assert(): Promise<void> {}

  async takeDown(): Promise<void> {}
}

/** Throws invalid-argument for a network that names no interface. */
export function parentOf(network: networkV1.NetworkRecord): Macvlan {
  const macvlan = macvlanOf(network);
  if (macvlan) return macvlan;
  throw invalidArgument(`network ${network.id}: its options name no interface and mode of macvlan links`);
}

/** Why links cannot be made on this interface of a host with these links; undefined when they can. */
export function refusal({ parent, mode }: Macvlan, links: readonly KernelLink[], hostIp: string): string | undefined {
  const found = links.find(({ ifname }) => ifname === parent);
  if (!found) return `this host has no interface ${parent} for its macvlan links`;
  if (!found.flags?.includes('UP')) return `interface ${parent} of this host, for its macvlan links, is not up`;
  if (mode !== 'passthru' || !found.addr_info?.some(({ local }) => local === hostIp)) return undefined;
  return `a macvlan link of mode passthru would take interface ${parent} from this host, which is reached by it (${hostIp})`;
}

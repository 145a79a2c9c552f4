import type { networkV1 } from '@atoll/proto';

/** One address of a service in one network, and where what is sent to it goes. */
export interface ServiceAddress {
  readonly service: string;
  readonly address: string;
  /** Addresses of the containers that serve, the same family, in the order of their ids: the same on every host. */
  readonly backends: readonly string[];
}

/** The services of one network, by its members. */
export class ServiceIndex {
  /** Service -> its containers. */
  readonly #services = new Map<string, Map<string, networkV1.Member>>();
  #addresses: readonly ServiceAddress[] | undefined;

  add(member: networkV1.Member): void {
    if (member.serviceName === '') return;
    const members = this.#services.get(member.serviceName) ?? new Map<string, networkV1.Member>();
    this.#services.set(member.serviceName, members.set(member.containerId, member));
    this.#addresses = undefined;
  }

  remove({ containerId, serviceName }: networkV1.Member): void {
    const members = this.#services.get(serviceName);
    if (!members?.delete(containerId)) return;
    if (members.size === 0) this.#services.delete(serviceName);
    this.#addresses = undefined;
  }

  /** The containers of a service, whether they serve or not; undefined when there is no such service. `name` in lower case. */
  members(name: string): readonly networkV1.Member[] | undefined {
    const members = this.#services.get(name);
    return members && [...members.values()];
  }

  /** By the name of the service, IPv4 first; also those nobody serves. */
  addresses(): readonly ServiceAddress[] {
    this.#addresses ??= [...this.#services.keys()].sort().flatMap((service) => this.#addressesOf(service));
    return this.#addresses;
  }

  #addressesOf(service: string): ServiceAddress[] {
    const members = [...(this.members(service) ?? [])].sort((a, b) => (a.containerId < b.containerId ? -1 : 1));
    const found = new Map<string, string[]>();
    const note = (virtual: string, { serving }: networkV1.Member, own: string): void => {
      if (virtual === '') return;
      const backends = found.get(virtual) ?? [];
      found.set(virtual, backends);
      if (serving && own !== '') backends.push(own);
    };
    for (const member of members) note(member.virtualIpv4, member, member.ipv4Address);
    for (const member of members) note(member.virtualIpv6, member, member.ipv6Address);
    return [...found].map(([address, backends]) => ({ service, address, backends }));
  }
}

import { dnsNames } from '@atoll/docker-api';
import { containerV1, type networkV1 } from '@atoll/proto';

/** What changed of one network. */
export interface MemberChange {
  readonly networkId: string;
  /** New or changed. */
  readonly member: networkV1.Member | undefined;
  /** Where it is, or how packets reach it, is new; else only what it is called, and whether it runs. */
  readonly moved: boolean;
  /** Host whose last member has gone. */
  readonly emptied: string | undefined;
}

interface Membership {
  readonly members: Map<string, networkV1.Member>;
  /** Host -> how many members it has. */
  readonly hosts: Map<string, number>;
}

/** Who is in which network, and on which host. A change of a container costs what its own networks cost, however many others there are. */
export class NetworkMembers {
  readonly #networks = new Map<string, Membership>();
  readonly #ofContainer = new Map<string, readonly string[]>();

  of(networkId: string): readonly networkV1.Member[] {
    return [...(this.#networks.get(networkId)?.members.values() ?? [])];
  }

  /** Hosts with members. */
  hosts(networkId: string): readonly string[] {
    return [...(this.#networks.get(networkId)?.hosts.keys() ?? [])];
  }

  has(networkId: string, nodeId: string): boolean {
    return this.#networks.get(networkId)?.hosts.has(nodeId) ?? false;
  }

  /** Networks with members on a host. */
  *onHost(nodeId: string): Generator<string> {
    for (const [networkId, { hosts }] of this.#networks) if (hosts.has(nodeId)) yield networkId;
  }

  /** All places of a container, in place of those it had. */
  set(containerId: string, members: ReadonlyMap<string, networkV1.Member>): MemberChange[] {
    const changes: MemberChange[] = [];
    for (const networkId of this.#ofContainer.get(containerId) ?? []) {
      if (members.has(networkId)) continue;
      changes.push({ networkId, member: undefined, moved: false, emptied: this.#remove(networkId, containerId) });
    }
    for (const [networkId, member] of members) {
      const known = this.#networks.get(networkId)?.members.get(containerId);
      if (known && isSame(known, member)) continue;
      this.#add(networkId, member);
      const emptied = known && known.nodeId !== member.nodeId ? this.#leave(networkId, known.nodeId) : undefined;
      changes.push({ networkId, member, moved: !known || !isSamePlace(known, member), emptied });
    }
    if (members.size > 0) this.#ofContainer.set(containerId, [...members.keys()]);
    else this.#ofContainer.delete(containerId);
    return changes;
  }

  /** A network that is gone. The answer is the hosts that had members. */
  forget(networkId: string): readonly string[] {
    const hosts = this.hosts(networkId);
    for (const { containerId } of this.of(networkId)) {
      const others = (this.#ofContainer.get(containerId) ?? []).filter((id) => id !== networkId);
      if (others.length > 0) this.#ofContainer.set(containerId, others);
      else this.#ofContainer.delete(containerId);
    }
    this.#networks.delete(networkId);
    return hosts;
  }

  #add(networkId: string, member: networkV1.Member): void {
    const network = this.#networks.get(networkId) ?? { members: new Map(), hosts: new Map() };
    this.#networks.set(networkId, network);
    const known = network.members.get(member.containerId);
    network.members.set(member.containerId, member);
    if (known?.nodeId === member.nodeId) return;
    network.hosts.set(member.nodeId, (network.hosts.get(member.nodeId) ?? 0) + 1);
  }

  #remove(networkId: string, containerId: string): string | undefined {
    const network = this.#networks.get(networkId);
    const member = network?.members.get(containerId);
    if (!network || !member) return undefined;
    network.members.delete(containerId);
    const emptied = this.#leave(networkId, member.nodeId);
    if (network.members.size === 0) this.#networks.delete(networkId);
    return emptied;
  }

  #leave(networkId: string, nodeId: string): string | undefined {
    const hosts = this.#networks.get(networkId)?.hosts;
    const left = (hosts?.get(nodeId) ?? 0) - 1;
    if (left > 0) hosts?.set(nodeId, left);
    else hosts?.delete(nodeId);
    return left > 0 ? undefined : nodeId;
  }
}

/** What others need to know of a container's host. */
export interface MemberHost {
  readonly ip: string;
  readonly wireguard: networkV1.WireGuardEndpoint | undefined;
  isEncrypted(networkId: string): boolean;
}

/** A container's places as hosts are told of them. One that is being removed has none. */
export function membersOf(
  record: containerV1.ContainerRecord | undefined,
  status: containerV1.ContainerStatus | undefined,
  host: MemberHost,
): Map<string, networkV1.Member> {
  const { spec } = record ?? {};
  if (!record || !spec || record.desired === containerV1.DesiredState.REMOVED) return new Map();
  const { id, nodeId } = record;
  const running = status?.nodeId === nodeId && RUNNING.has(status.state);
  const serves = running && isServing(status);
  return new Map(
    record.endpoints.map((endpoint) => {
      const { networkId, ipv4Address, ipv6Address, macAddress, asked } = endpoint;
      const { serviceName, virtualIpv4, virtualIpv6 } = endpoint;
      const names = dnsNames(id, spec.name, spec.network?.hostname ?? '', asked?.aliases ?? []);
      const addresses = { hostIp: host.ip, ipv4Address, ipv6Address, macAddress, virtualIpv4, virtualIpv6 };
      const wireguard = host.isEncrypted(networkId) ? host.wireguard : undefined;
      // Of a container without a service hosts need not hear how healthy it is.
      const serving = serviceName !== '' && serves;
      return [networkId, { containerId: id, nodeId, ...addresses, names, running, wireguard, serviceName, serving }];
    }),
  );
}

/** What is sent to its service may reach it: a check, if it has one, has found it healthy. */
function isServing({ state, health }: containerV1.ContainerStatus): boolean {
  return state === containerV1.ContainerState.RUNNING && (health === '' || health === 'healthy');
}

const RUNNING: ReadonlySet<containerV1.ContainerState> = new Set([
  containerV1.ContainerState.RUNNING,
  containerV1.ContainerState.PAUSED,
]);

function isSamePlace(a: networkV1.Member, b: networkV1.Member): boolean {
  return (
    a.nodeId === b.nodeId &&
    a.hostIp === b.hostIp &&
    a.ipv4Address === b.ipv4Address &&
    a.ipv6Address === b.ipv6Address &&
    a.macAddress === b.macAddress &&
    isSameEndpoint(a.wireguard, b.wireguard)
  );
}

function isSame(a: networkV1.Member, b: networkV1.Member): boolean {
  return (
    isSamePlace(a, b) &&
    a.running === b.running &&
    a.serviceName === b.serviceName &&
    a.virtualIpv4 === b.virtualIpv4 &&
    a.virtualIpv6 === b.virtualIpv6 &&
    a.serving === b.serving &&
    a.names.length === b.names.length &&
    a.names.every((name, at) => name === b.names[at])
  );
}

/** Of WireGuard on a host. */
export function isSameEndpoint(
  a: networkV1.WireGuardEndpoint | undefined,
  b: networkV1.WireGuardEndpoint | undefined,
): boolean {
  return a?.publicKey === b?.publicKey && a?.port === b?.port;
}

import { isIP } from 'node:net';
import { macvlanOf } from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';
import type { networkV1 } from '@atoll/proto';
import { isWireGuardKey } from '../wireguard/host-key.ts';
import { endpointOf, peerOf, type WireGuardPeer } from '../wireguard/wireguard-device.ts';
import { ServiceIndex } from './service-index.ts';

const ID = /^[0-9a-f]{64}$/;
const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;
const SERVICE = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$/;

/** Who is in one network, as the scheduler has told; each change costs what has changed, whatever the number of members. */
export class Membership {
  readonly services = new ServiceIndex();
  readonly #members = new Map<string, networkV1.Member>();
  /** Lower-case name -> container ids. */
  readonly #byName = new Map<string, Set<string>>();
  readonly #byAddress = new Map<string, string>();
  readonly #perHost = new Map<string, number>();
  readonly #perPeer = new Map<string, { readonly peer: WireGuardPeer; count: number }>();

  get size(): number {
    return this.#members.size;
  }

  members(): Iterable<networkV1.Member> {
    return this.#members.values();
  }

  /** Addresses of the hosts that have members. */
  hosts(): Iterable<string> {
    return this.#perHost.keys();
  }

  /** The hosts that have members and take encrypted packets. */
  peers(): readonly WireGuardPeer[] {
    return [...this.#perPeer.values()].map(({ peer }) => peer);
  }

  get(containerId: string): networkV1.Member | undefined {
    return this.#members.get(containerId);
  }

  /** All that have the name, also those that do not run. */
  named(name: string): readonly networkV1.Member[] {
    return [...(this.#byName.get(name.toLowerCase()) ?? [])].flatMap((id) => this.#members.get(id) ?? []);
  }

  /** `address` in its shortest form. */
  at(address: string): networkV1.Member | undefined {
    return this.#members.get(this.#byAddress.get(address) ?? '');
  }

  /** The ids of the containers that came, went or changed. */
  apply(state: networkV1.NetworkState): readonly string[] {
    const given = new Set(state.members.map(({ containerId }) => containerId));
    const gone = state.complete ? [...this.#members.keys()].filter((id) => !given.has(id)) : state.gone;
    for (const id of gone) this.#remove(id);
    for (const member of state.members) {
      this.#remove(member.containerId);
      this.#add(member);
    }
    return [...gone, ...given];
  }

  #add(member: networkV1.Member): void {
    const { containerId } = member;
    this.#members.set(containerId, member);
    this.#count(member, 1);
    for (const name of member.names) {
      const key = name.toLowerCase();
      this.#byName.set(key, (this.#byName.get(key) ?? new Set()).add(containerId));
    }
    for (const address of addressesOf(member)) this.#byAddress.set(address, containerId);
    this.services.add(member);
  }

  #count(member: networkV1.Member, change: number): void {
    const { hostIp } = member;
    const peer = peerOf(member);
    if (peer) this.#countPeer(peer, change);
    const count = (this.#perHost.get(hostIp) ?? 0) + change;
    if (count > 0 && hostIp !== '') this.#perHost.set(hostIp, count);
    else this.#perHost.delete(hostIp);
  }

  #countPeer(peer: WireGuardPeer, change: number): void {
    const key = `${peer.publicKey} ${endpointOf(peer)}`;
    const known = this.#perPeer.get(key) ?? { peer, count: 0 };
    known.count += change;
    if (known.count > 0) this.#perPeer.set(key, known);
    else this.#perPeer.delete(key);
  }

  #remove(id: string): void {
    const member = this.#members.get(id);
    if (!member) return;
    this.#members.delete(id);
    this.#count(member, -1);
    this.services.remove(member);
    for (const name of member.names) {
      const owners = this.#byName.get(name.toLowerCase());
      owners?.delete(id);
      if (owners?.size === 0) this.#byName.delete(name.toLowerCase());
    }
    // An address may have gone to another container before its last owner was reported gone.
    for (const address of addressesOf(member)) {
      if (this.#byAddress.get(address) === id) this.#byAddress.delete(address);
    }
  }
}

export function addressesOf(member: { readonly ipv4Address: string; readonly ipv6Address: string }): readonly string[] {
  return [member.ipv4Address, member.ipv6Address].filter((address) => address !== '');
}

/** Throws invalid-argument: what comes from here goes into commands of the host's tools. */
export function checkState(state: networkV1.NetworkState): networkV1.NetworkRecord {
  const { network } = state;
  if (!network || !ID.test(network.id)) throw invalidArgument('a network state without the id of a network');
  const check = (what: string, value: string, right: boolean): void => {
    if (!right) throw invalidArgument(`network ${network.id}: ${what} ${JSON.stringify(value)} is none`);
  };
  check('driver', network.driver, network.driver !== 'macvlan' || macvlanOf(network) !== undefined);
  check('VNI', String(network.vni), Number.isInteger(network.vni) && network.vni >= 0 && network.vni < 2 ** 24);
  for (const { cidr, gateway } of network.subnets) {
    const [address = '', prefix = '', ...rest] = cidr.split('/');
    const bits = isIP(address) === 4 ? 32 : 128;
    check(
      'subnet',
      cidr,
      isIP(address) !== 0 && rest.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits,
    );
    check('gateway', gateway, gateway === '' || isIP(gateway) === isIP(address));
  }
  for (const { containerId, hostIp, ipv4Address, ipv6Address, macAddress, wireguard } of state.members) {
    check('container id', containerId, ID.test(containerId));
    check('host address', hostIp, hostIp === '' || isIP(hostIp) !== 0);
    check('IPv4 address', ipv4Address, ipv4Address === '' || isIP(ipv4Address) === 4);
    check('IPv6 address', ipv6Address, ipv6Address === '' || isIP(ipv6Address) === 6);
    check('MAC address', macAddress, MAC.test(macAddress));
    if (!wireguard) continue;
    const { publicKey, port } = wireguard;
    check('WireGuard key', publicKey, isWireGuardKey(publicKey));
    check('WireGuard port', String(port), Number.isInteger(port) && port > 0 && port < 65_536);
  }
  for (const { serviceName, virtualIpv4, virtualIpv6 } of state.members) {
    check('service name', serviceName, SERVICE.test(serviceName));
    check('virtual IPv4 address', virtualIpv4, virtualIpv4 === '' || isIP(virtualIpv4) === 4);
    check('virtual IPv6 address', virtualIpv6, virtualIpv6 === '' || isIP(virtualIpv6) === 6);
  }
  return network;
}

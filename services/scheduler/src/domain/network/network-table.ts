import type { Mirror } from '@atoll/bus';
import type { networkV1 } from '@atoll/proto';
import { AddressSpace } from './address-space.ts';
import { formatIp, parseCidr, parseIp } from './ip-address.ts';
import type { TakenBlock } from './subnet-plan.ts';
import { ServiceAddresses, type VirtualAddresses } from './virtual-addresses.ts';

interface Entry {
  readonly record: networkV1.NetworkRecord;
  readonly space: AddressSpace;
  /** MAC address -> how many hold it. */
  readonly macs: Map<string, number>;
  readonly services: ServiceAddresses;
  /** Starts that are on their way: the network must not go meanwhile. */
  pins: number;
}

const VNI_FIRST = 4_096;
const VNI_COUNT = 2 ** 24 - VNI_FIRST;

/**
 * The networks of users with what they hold: names, VNIs, blocks, and the addresses of their containers. Follows the mirror; what is
 * being written is claimed beforehand, so that two requests at the same time never get the same.
 */
export class NetworkTable {
  readonly records: Mirror<networkV1.NetworkRecord>;
  readonly #entries = new Map<string, Entry>();
  readonly #claims = new Map<string, networkV1.NetworkRecord>();
  readonly #names = new Map<string, string>();
  readonly #vnis = new Map<number, string>();
  readonly #leaving = new Set<string>();
  /** Host -> its addresses. */
  readonly #hosts = new Map<string, readonly string[]>();
  #hostAddresses: ReadonlySet<string> = new Set();
  readonly #stop: () => void;

  constructor(records: Mirror<networkV1.NetworkRecord>) {
    this.records = records;
    for (const record of records.values()) this.#add(record);
    this.#stop = records.onChange(({ id, value }) => {
      if (value) this.#add(value);
      else this.#drop(id);
    });
  }

  close(): void {
    this.#stop();
  }

  /** Undefined for one that is being removed. */
  get(id: string): networkV1.NetworkRecord | undefined {
    return this.#leaving.has(id) ? undefined : this.#entries.get(id)?.record;
  }

  /** By id or name. */
  find(reference: string): networkV1.NetworkRecord | undefined {
    return this.get(reference) ?? this.get(this.#names.get(reference) ?? '');
  }

  /** Id of the network that has the name, or is about to. */
  idOfName(name: string): string | undefined {
    return this.#names.get(name);
  }

  /** A VNI nobody has. Begins at a place made from the network's id, so that VNIs of removed networks come back seldom. */
  freeVni(id: string): number | undefined {
    const start = Number.parseInt(id.slice(0, 12), 16);
    for (let tried = 0; tried <= this.#vnis.size; tried++) {
      const vni = VNI_FIRST + ((start + tried) % VNI_COUNT);
      if (!this.#vnis.has(vni)) return vni;
    }
    return undefined;
  }

  /** Those that are there and those being written. */
  all(): Iterable<networkV1.NetworkRecord> {
    return this.#claims.values();
  }

  /** A network may have addresses of the segment a host is on: its own are nobody else's. */
  setHost(nodeId: string, addresses: readonly string[]): void {
    const canonical = addresses.flatMap((text) => parseIp(text) ?? []).map(formatIp);
    if (canonical.length > 0) this.#hosts.set(nodeId, canonical);
    else this.#hosts.delete(nodeId);
    this.#hostAddresses = new Set([...this.#hosts.values()].flat());
  }

  get hostAddresses(): ReadonlySet<string> {
    return this.#hostAddresses;
  }

  /** The blocks of all networks. */
  blocks(): TakenBlock[] {
    const all = [...this.#claims.values()].filter(({ configOnly }) => !configOnly);
    return all.flatMap(({ name, subnets }) =>
      subnets.flatMap(({ cidr }) => {
        const block = parseCidr(cidr)?.block;
        return block ? [{ block, whose: `network ${name}` }] : [];
      }),
    );
  }

  /** Names of the networks that were, or are being, made from this configuration. */
  madeFrom(name: string): string[] {
    return [...this.#claims.values()].filter(({ configFrom }) => configFrom === name).map((made) => made.name);
  }

  /** Takes name, VNI and blocks for a network that is being written. */
  claim(record: networkV1.NetworkRecord): void {
    this.#claims.set(record.id, record);
    this.#names.set(record.name, record.id);
    if (record.vni !== 0) this.#vnis.set(record.vni, record.id);
  }

  /** Gives back what was claimed for a write that did not happen. */
  settle(id: string): void {
    this.#leaving.delete(id);
    if (!this.records.get(id)) this.#unclaim(id);
  }

  /** From now on nobody finds it; `settle` takes that back. */
  leave(id: string): void {
    this.#leaving.add(id);
  }

  /** Keeps networks from being removed until the answer is called. */
  pin(ids: readonly string[]): () => void {
    const pinned = ids.flatMap((id) => this.#entries.get(id) ?? []);
    for (const entry of pinned) entry.pins++;
    return () => {
      for (const entry of pinned) entry.pins--;
    };
  }

  isPinned(id: string): boolean {
    return (this.#entries.get(id)?.pins ?? 0) > 0;
  }

  space(id: string): AddressSpace | undefined {
    return this.#entries.get(id)?.space;
  }

  hasMac(id: string, mac: string): boolean {
    return this.#entries.get(id)?.macs.has(mac) ?? false;
  }

  /** The addresses the service has in this network; undefined: none of its containers is there. */
  virtual(id: string, service: string): VirtualAddresses | undefined {
    return this.#entries.get(id)?.services.get(service);
  }

  hold(endpoint: networkV1.Endpoint): void {
    this.#count(endpoint, 1);
  }

  release(endpoint: networkV1.Endpoint): void {
    this.#count(endpoint, -1);
  }

  /** What was given in turn before this term: see AddressSpace. */
  resumeAfter({ networkId, asked, ipv4Address, ipv6Address, virtualIpv4, virtualIpv6 }: networkV1.Endpoint): void {
    const space = this.space(networkId);
    if (!asked?.ipv4Address) space?.resumeAfter(ipv4Address);
    if (!asked?.ipv6Address) space?.resumeAfter(ipv6Address);
    space?.resumeAfter(virtualIpv4);
    space?.resumeAfter(virtualIpv6);
  }

  #count(endpoint: networkV1.Endpoint, change: 1 | -1): void {
    const { networkId, ipv4Address, ipv6Address, virtualIpv4, virtualIpv6, macAddress } = endpoint;
    const entry = this.#entries.get(networkId);
    if (!entry) return;
    entry.services.count(endpoint, change);
    for (const address of [ipv4Address, ipv6Address, virtualIpv4, virtualIpv6]) {
      if (address === '') continue;
      if (change > 0) entry.space.hold(address);
      else entry.space.release(address);
    }
    const macs = (entry.macs.get(macAddress) ?? 0) + change;
    if (macs > 0) entry.macs.set(macAddress, macs);
    else entry.macs.delete(macAddress);
  }

  /** A network's record does not change: a second word on it is an echo. */
  #add(record: networkV1.NetworkRecord): void {
    this.claim(record);
    if (this.#entries.has(record.id)) return;
    const space = new AddressSpace(record.subnets);
    this.#entries.set(record.id, { record, space, macs: new Map(), services: new ServiceAddresses(), pins: 0 });
  }

  #drop(id: string): void {
    this.#leaving.delete(id);
    this.#entries.delete(id);
    this.#unclaim(id);
  }

  #unclaim(id: string): void {
    const record = this.#claims.get(id);
    if (!record) return;
    this.#claims.delete(id);
    if (this.#names.get(record.name) === id) this.#names.delete(record.name);
    if (this.#vnis.get(record.vni) === id) this.#vnis.delete(record.vni);
  }
}

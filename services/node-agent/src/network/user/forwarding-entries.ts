import { addressesOf } from './membership.ts';

/** A member on another host, as far as entries are made of it. */
export interface RemoteMember {
  readonly macAddress: string;
  readonly ipv4Address: string;
  readonly ipv6Address: string;
  /** Its host: an address, and the device packets have to take, see `targetOf`. */
  readonly target: string;
}

interface Owned {
  readonly value: string;
  /** The container it is for. */
  readonly owner: string;
}

/** Lines of `bridge -batch` and `ip -batch`. */
export interface EntryBatch {
  readonly bridge: readonly string[];
  readonly ip: readonly string[];
}

/** What the kernel has: MAC address -> its host, and container's address -> MAC address. */
export interface KernelEntries {
  readonly forwarding: ReadonlyMap<string, string>;
  readonly neighbours: ReadonlyMap<string, string>;
}

/**
 * The entries of one VXLAN device: where frames for a remote member go (forwarding), and which MAC address an address has, so that
 * ARP and neighbour discovery are answered here. Each has an owner, for an address may pass on to another container.
 */
export class ForwardingEntries {
  readonly #device: string;
  readonly #held = new Map<string, RemoteMember>();
  readonly #forwarding = new Map<string, Owned>();
  readonly #neighbours = new Map<string, Owned>();

  constructor(device: string) {
    this.#device = device;
  }

  /** What to run so that the kernel follows the members named; `remote` is undefined for one that is gone or is of this host. */
  follow(members: Iterable<readonly [id: string, remote: RemoteMember | undefined]>): EntryBatch {
    const changed = [...members].filter(([id, remote]) => !sameEntries(this.#held.get(id), remote));
    const freed = changed.map(([id]) => this.#release(id));
    const taken = changed.map(([id, remote]) => (remote ? this.#take(id, remote) : NOTHING));
    // What is taken over by another owner in the same step is replaced, not removed.
    const macs = new Set(freed.flatMap(({ macs }) => macs).filter((mac) => !this.#forwarding.has(mac)));
    const addresses = freed.flatMap(({ addresses }) => addresses).filter((one) => !this.#neighbours.has(one));
    return {
      bridge: [...[...macs].flatMap((mac) => this.#removeForwarding(mac)), ...taken.flatMap(({ bridge }) => bridge)],
      ip: [...new Set(addresses)].map((one) => this.#removeNeighbour(one)).concat(taken.flatMap(({ ip }) => ip)),
    };
  }

  /** What to run so that the kernel has what it should, given what it has. */
  repair(kernel: KernelEntries): EntryBatch {
    const extraMacs = [...kernel.forwarding.keys()].filter((mac) => !this.#forwarding.has(mac));
    const extraAddresses = [...kernel.neighbours.keys()].filter((address) => !this.#neighbours.has(address));
    const macs = [...this.#forwarding].filter(([mac, { value }]) => kernel.forwarding.get(mac) !== value);
    const addresses = [...this.#neighbours].filter(([address, { value }]) => kernel.neighbours.get(address) !== value);
    return {
      bridge: [
        ...extraMacs.flatMap((mac) => this.#removeForwarding(mac)),
        ...macs.map(([mac, { value }]) => this.#addForwarding(mac, value)),
      ],
      ip: [
        ...extraAddresses.map((address) => this.#removeNeighbour(address)),
        ...addresses.map(([address, { value }]) => this.#addNeighbour(address, value)),
      ],
    };
  }

  #release(id: string): { readonly macs: readonly string[]; readonly addresses: readonly string[] } {
    const member = this.#held.get(id);
    if (!member) return { macs: [], addresses: [] };
    this.#held.delete(id);
    const own = (table: Map<string, Owned>, key: string): boolean => table.get(key)?.owner === id && table.delete(key);
    return {
      macs: own(this.#forwarding, member.macAddress) ? [member.macAddress] : [],
      addresses: addressesOf(member).filter((address) => own(this.#neighbours, address)),
    };
  }

  #take(id: string, member: RemoteMember): EntryBatch {
    const { macAddress, target } = member;
    this.#held.set(id, member);
    this.#forwarding.set(macAddress, { value: target, owner: id });
    for (const address of addressesOf(member)) this.#neighbours.set(address, { value: macAddress, owner: id });
    return {
      bridge: [this.#addForwarding(macAddress, target)],
      ip: addressesOf(member).map((address) => this.#addNeighbour(address, macAddress)),
    };
  }

  /** One line for both tables: the bridge sends the frame to the device, the device to the host. */
  #addForwarding(mac: string, target: string): string {
    return `fdb replace ${mac} dev ${this.#device} dst ${target} self master static`;
  }

  #removeForwarding(mac: string): readonly string[] {
    return [`fdb del ${mac} dev ${this.#device} master static`, `fdb del ${mac} dev ${this.#device} self`];
  }

  #addNeighbour(address: string, mac: string): string {
    return `neigh replace ${address} lladdr ${mac} dev ${this.#device} nud permanent`;
  }

  #removeNeighbour(address: string): string {
    return `neigh del ${address} dev ${this.#device}`;
  }
}

const NOTHING: EntryBatch = { bridge: [], ip: [] };

function sameEntries(a: RemoteMember | undefined, b: RemoteMember | undefined): boolean {
  if (!a || !b) return a === b;
  return (
    a.macAddress === b.macAddress &&
    a.target === b.target &&
    a.ipv4Address === b.ipv4Address &&
    a.ipv6Address === b.ipv6Address
  );
}

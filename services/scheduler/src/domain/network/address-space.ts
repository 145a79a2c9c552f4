import type { networkV1 } from '@atoll/proto';
import { contains, formatIp, type IpAddress, type IpBlock, type IpVersion, parseCidr, parseIp } from './ip-address.ts';

export interface GivenAddress {
  readonly address: string;
  readonly prefixLength: number;
  /** Empty: the subnet has none. */
  readonly gateway: string;
}

/** One subnet: where addresses are given from, and what is never given. */
interface Range {
  readonly block: IpBlock;
  readonly first: bigint;
  readonly last: bigint;
  /** Address -> what it is, in words. */
  readonly reserved: ReadonlyMap<bigint, string>;
  readonly gateway: string;
  /** Address -> how many hold it. More than one only while a container's record changes. */
  readonly held: Map<bigint, number>;
  next: bigint;
}

const NONE: ReadonlySet<string> = new Set();

/**
 * The addresses of one network, in memory: records say who has which. An address is given again as late as possible, so that what
 * still has the old one in its memory (another host, a client) has time to forget it.
 */
export class AddressSpace {
  readonly #ranges: readonly Range[];

  constructor(subnets: readonly networkV1.Subnet[]) {
    this.#ranges = subnets.flatMap((subnet) => rangeOf(subnet) ?? []);
  }

  has(version: IpVersion): boolean {
    return this.#ranges.some(({ block }) => block.version === version);
  }

  /** An address nobody holds, and none of `others`; it is taken by `hold`. Undefined when there is none. */
  offer(version: IpVersion, others: ReadonlySet<string> = NONE): GivenAddress | undefined {
    for (const range of this.#ranges) {
      if (range.block.version !== version) continue;
      const value = nextFree(range, others);
      if (value === undefined) continue;
      range.next = value + 1n;
      return given(range, value);
    }
    return undefined;
  }

  /** After a takeover: goes on behind the highest address that was given in turn. */
  resumeAfter(text: string): void {
    const address = parseIp(text);
    const range = address && this.#rangeWith(address);
    if (!address || !range || address.value < range.next || address.value > range.last) return;
    range.next = address.value + 1n;
  }

  /** What a container that asks for this address gets, or why it cannot have it. */
  offerFixed(
    address: IpAddress,
  ): GivenAddress | { readonly refusal: 'outside' | 'in use' | 'reserved'; readonly what: string } {
    const range = this.#rangeWith(address);
    if (!range) return { refusal: 'outside', what: '' };
    const what = range.reserved.get(address.value);
    if (what !== undefined) return { refusal: 'reserved', what };
    if (range.held.has(address.value)) return { refusal: 'in use', what: '' };
    return given(range, address.value);
  }

  hold(text: string): void {
    this.#count(text, 1);
  }

  release(text: string): void {
    this.#count(text, -1);
  }

  #count(text: string, change: 1 | -1): void {
    const address = parseIp(text);
    const range = address && this.#rangeWith(address);
    if (!address || !range) return;
    const count = (range.held.get(address.value) ?? 0) + change;
    if (count > 0) range.held.set(address.value, count);
    else range.held.delete(address.value);
  }

  #rangeWith(address: IpAddress): Range | undefined {
    return this.#ranges.find(({ block }) => contains(block, address));
  }
}

/** From the one after the last that was given, around the end. */
function nextFree(range: Range, others: ReadonlySet<string>): bigint | undefined {
  const size = range.last - range.first + 1n;
  const isTaken = (value: bigint): boolean =>
    range.held.has(value) ||
    range.reserved.has(value) ||
    (others.size > 0 && others.has(formatIp({ version: range.block.version, value })));
  // Among so many in turn one is free, if any is.
  const most = BigInt(range.held.size + range.reserved.size + others.size + 1);
  let value = range.next;
  for (let tried = 0n; tried < most && tried < size; tried++, value++) {
    if (value > range.last) value = range.first;
    if (!isTaken(value)) return value;
  }
  return undefined;
}

function given({ block, gateway }: Range, value: bigint): GivenAddress {
  return { address: formatIp({ version: block.version, value }), prefixLength: block.prefix, gateway };
}

function rangeOf(subnet: networkV1.Subnet): Range | undefined {
  const block = parseCidr(subnet.cidr)?.block;
  if (!block) return undefined;
  const reserved = new Map([[block.first, 'the address of the network itself']]);
  if (block.version === 4) reserved.set(block.last, 'its broadcast address');
  const reserve = (text: string, what: string): void => {
    const address = parseIp(text);
    if (address) reserved.set(address.value, what);
  };
  reserve(subnet.gateway, 'its gateway');
  for (const [name, address] of Object.entries(subnet.auxAddresses)) reserve(address, `its auxiliary address ${name}`);
  const { first, last } = parseCidr(subnet.ipRange)?.block ?? block;
  return { block, first, last, reserved, gateway: subnet.gateway, held: new Map(), next: first };
}

import { isIPv4, isIPv6 } from 'node:net';

export type IpVersion = 4 | 6;

export interface IpAddress {
  readonly version: IpVersion;
  readonly value: bigint;
}

/** Addresses `first` to `last`, all that share the prefix. */
export interface IpBlock {
  readonly version: IpVersion;
  readonly first: bigint;
  readonly last: bigint;
  /** Bits. */
  readonly prefix: number;
}

const BITS: Readonly<Record<IpVersion, number>> = { 4: 32, 6: 128 };

/** Undefined when the text is no address; zones (`%eth0`) are none. */
export function parseIp(text: string): IpAddress | undefined {
  if (isIPv4(text)) return { version: 4, value: numberOfIpv4(text) };
  if (isIPv6(text) && !text.includes('%')) return { version: 6, value: numberOfIpv6(text) };
  return undefined;
}

/** Shortest form, lower case. */
export function formatIp({ version, value }: IpAddress): string {
  if (version === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
  const groups = Array.from({ length: 8 }, (_, at) => Number((value >> BigInt(112 - at * 16)) & 0xffffn));
  const zeros = longestZeros(groups);
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  if (zeros.length < 2) return hex(groups);
  return `${hex(groups.slice(0, zeros.start))}::${hex(groups.slice(zeros.start + zeros.length))}`;
}

/** Address and prefix as written: host bits may be set. Undefined when the text is no CIDR. */
export function parseCidr(text: string): { readonly address: IpAddress; readonly block: IpBlock } | undefined {
  const [, base = '', bits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const address = parseIp(base);
  const prefix = Number(bits);
  if (!address || bits === '' || prefix > BITS[address.version]) return undefined;
  const size = 1n << BigInt(BITS[address.version] - prefix);
  const first = address.value - (address.value % size);
  return { address, block: { version: address.version, first, last: first + size - 1n, prefix } };
}

export function formatBlock(block: IpBlock): string {
  return `${formatIp({ version: block.version, value: block.first })}/${block.prefix}`;
}

export function contains(block: IpBlock, address: IpAddress): boolean {
  return block.version === address.version && block.first <= address.value && address.value <= block.last;
}

export function overlaps(a: IpBlock, b: IpBlock): boolean {
  return a.version === b.version && a.first <= b.last && b.first <= a.last;
}

function numberOfIpv4(text: string): bigint {
  return text.split('.').reduce((value, octet) => value * 256n + BigInt(octet), 0n);
}

function numberOfIpv6(text: string): bigint {
  const [head = '', tail] = text.split('::');
  const before = groupsOf(head);
  const after = groupsOf(tail ?? '');
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array.from({ length: zeros }, () => 0n), ...after].reduce(
    (value, group) => (value << 16n) + group,
    0n,
  );
}

/** The last group may be an IPv4 address. */
function groupsOf(text: string): bigint[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [BigInt(`0x${group}`)];
    const value = numberOfIpv4(group);
    return [value >> 16n, value & 0xffffn];
  });
}

/** The first of the longest runs of zero groups. */
function longestZeros(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}

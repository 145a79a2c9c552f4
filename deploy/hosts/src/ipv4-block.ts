import { invalidArgument } from '@atoll/errors';

/** A block of IPv4 addresses: `10.214.7.0/24`. */
export interface Ipv4Block {
  readonly first: number;
  readonly prefix: number;
}

export function parseBlock(text: string): Ipv4Block {
  const [address = '', length = '32'] = text.split('/');
  const parts = address.split('.').map(Number);
  const prefix = Number(length);
  const valid = parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part < 256);
  if (!valid || !(prefix >= 0 && prefix <= 32)) throw invalidArgument(`${text} is not an IPv4 block (a.b.c.d/length)`);
  const value = parts.reduce((sum, part) => sum * 256 + part, 0);
  const size = 2 ** (32 - prefix);
  return { first: Math.floor(value / size) * size, prefix };
}

export function formatBlock(block: Ipv4Block): string {
  return `${addressIn(block, 0)}/${block.prefix}`;
}

export function overlaps(one: Ipv4Block, other: Ipv4Block): boolean {
  const end = (block: Ipv4Block) => block.first + 2 ** (32 - block.prefix);
  return one.first < end(other) && other.first < end(one);
}

/** The nth address of the block, dotted. */
export function addressIn(block: Ipv4Block, n: number): string {
  const value = block.first + n;
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

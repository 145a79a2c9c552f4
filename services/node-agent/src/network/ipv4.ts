import { invalidArgument } from '@atoll/errors';

/** Addresses as unsigned 32-bit numbers. */
export function parseIpv4(text: string): number {
  const parts = text.split('.');
  const numbers = parts.map((part) => (/^(0|[1-9]\d{0,2})$/.test(part) ? Number(part) : 256));
  if (numbers.length !== 4 || numbers.some((part) => part > 255)) {
    throw invalidArgument(`"${text}" is not an IPv4 address`);
  }
  return numbers.reduce((sum, part) => sum * 256 + part, 0);
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

/** The MAC address Docker gives to an IPv4 address: 02:42 and its four bytes. */
export function macOf(address: string): string {
  const hex = parseIpv4(address).toString(16).padStart(8, '0');
  return ['02', '42', ...(hex.match(/../g) as string[])].join(':');
}

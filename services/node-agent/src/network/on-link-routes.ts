import { readFileSync } from 'node:fs';
import { ipText } from '../runtime/ip-bytes.ts';

/** More are not told: a host that has so many is a router. */
const MAX_ROUTES = 256;
/** Flags of linux/route.h and linux/ipv6_route.h. */
const FLAG = { up: 0x1, gateway: 0x2, reject: 0x200, anycast: 0x100000, local: 0x80000000 } as const;

/**
 * Networks this host reaches without a gateway, as CIDR in a fixed order, but for its loopback, link-local and multicast ones: a network of a
 * user with such addresses would cut the host off from them. What is routed by a gateway does not count, as in docker: often it is a wide
 * block of which parts are free.
 * @param isOwn whether an interface is of this agent's own networks
 */
export function onLinkRoutes(isOwn: (name: string) => boolean): readonly string[] {
  const found = [...ipv4Routes(read('route'), isOwn), ...ipv6Routes(read('ipv6_route'), isOwn)];
  return [...new Set(found)].sort().slice(0, MAX_ROUTES);
}

/** Of the text of /proc/net/route: numbers are in the processor's byte order. */
export function ipv4Routes(text: string, isOwn: (name: string) => boolean): readonly string[] {
  return rows(text).flatMap(([name = '', destination = '', , flags = '', , , , mask = '']) => {
    const prefix = [...Number.parseInt(mask, 16).toString(2)].filter((bit) => bit === '1').length;
    if (!isOnLink(flags) || prefix === 0 || name === 'lo' || isOwn(name)) return [];
    const address = ipText(Buffer.from(destination, 'hex').reverse());
    return /^(127|169\.254|22[4-9]|23\d)\./.test(address) ? [] : [`${address}/${prefix}`];
  });
}

/** Of the text of /proc/net/ipv6_route. */
export function ipv6Routes(text: string, isOwn: (name: string) => boolean): readonly string[] {
  return rows(text).flatMap(([destination = '', length = '', , , next = '', , , , flags = '', name = '']) => {
    const prefix = Number.parseInt(length, 16);
    const mine = (Number.parseInt(flags, 16) & (FLAG.local | FLAG.anycast)) !== 0;
    if (!isOnLink(flags) || mine || !/^0+$/.test(next) || !(prefix > 0) || name === 'lo' || isOwn(name)) return [];
    return /^(fe[89ab]|ff)/.test(destination) ? [] : [`${ipText(Buffer.from(destination, 'hex'))}/${prefix}`];
  });
}

function isOnLink(flags: string): boolean {
  return (Number.parseInt(flags, 16) & (FLAG.up | FLAG.gateway | FLAG.reject)) === FLAG.up;
}

function rows(text: string): string[][] {
  return text.split('\n').map((line) => line.trim().split(/\s+/));
}

/** Empty on a kernel without the family. */
function read(name: string): string {
  try {
    return readFileSync(`/proc/self/net/${name}`, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

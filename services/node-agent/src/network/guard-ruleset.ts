import { invalidArgument } from '@atoll/errors';
import { macOf, parseIpv4 } from './ipv4.ts';
import { tableOf } from './nft-ruleset.ts';
import type { Subnet } from './subnet.ts';

/** A hardware address that was chosen by a user, not made from the IPv4 address. */
export interface HardwareAddress {
  readonly mac: string;
  readonly address: string;
}

/** Larger blocks are not spelled out: their containers can speak with each other's IPv4 addresses. The scheduler gives /24. */
const MAX_ADDRESSES = 2 ** 12;

/**
 * The bridge table as one transaction, made anew. A frame from a container that names a hardware address of this block must be IPv4
 * or ARP with the IPv4 address that goes with it; one that names another hardware address does not pass its locked port. By hardware
 * address and not by bridge, for `meta ibrname` is missing in kernels without CONFIG_NFT_BRIDGE_META.
 */
export function guardRuleset(bridge: string, subnet: Subnet, chosen: readonly HardwareAddress[]): string {
  const table = tableOf(bridge);
  const made = subnet.size > MAX_ADDRESSES ? [] : containerAddresses(subnet);
  const known = [...made.map((address) => ({ mac: macOf(address), address })), ...chosen.map(checked)];
  const macs = [...new Set(known.map(({ mac }) => mac))];
  const pairs = [...new Set(known.map(pair))];
  return [
    `add table bridge ${table}`,
    `delete table bridge ${table}`,
    `table bridge ${table} {`,
    `  set macs { type ether_addr; ${elements(macs)} }`,
    `  set pairs { type ether_addr . ipv4_addr; ${elements(pairs)} }`,
    '  chain prerouting {',
    '    type filter hook prerouting priority -300; policy accept;',
    '    iifname "atv*" ether saddr @macs jump container',
    '  }',
    '  chain container {',
    '    ether type ip ether saddr . ip saddr @pairs accept',
    '    ether type arp ether saddr . arp saddr ip @pairs arp saddr ether . arp saddr ip @pairs accept',
    '    drop',
    '  }',
    '}',
    '',
  ].join('\n');
}

/** Adds or takes away one; one transaction. */
export function guardCommands(change: 'add' | 'delete', bridge: string, chosen: HardwareAddress): string {
  const { mac, address } = checked(chosen);
  const table = tableOf(bridge);
  return [
    `${change} element bridge ${table} macs { ${mac} }`,
    `${change} element bridge ${table} pairs { ${pair({ mac, address })} }`,
    '',
  ].join('\n');
}

/** All but the network, the gateway and the broadcast address. */
function containerAddresses(subnet: Subnet): string[] {
  return Array.from({ length: subnet.size - 3 }, (_, index) => subnet.at(index + 2));
}

function pair({ mac, address }: HardwareAddress): string {
  return `${mac} . ${address}`;
}

function elements(items: readonly string[]): string {
  return items.length === 0 ? '' : `elements = { ${items.join(', ')} }`;
}

function checked({ mac, address }: HardwareAddress): HardwareAddress {
  parseIpv4(address);
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac)) throw invalidArgument(`"${mac}" is not a hardware address`);
  return { mac, address };
}

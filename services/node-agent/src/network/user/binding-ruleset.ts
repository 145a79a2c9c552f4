import { isIP } from 'node:net';
import type { networkV1 } from '@atoll/proto';
import { ipBytes } from '../../runtime/ip-bytes.ts';
import { endpointInterfaceOf } from './endpoint-links.ts';

export interface BindingRules {
  /** Name of the bridge table. */
  readonly table: string;
  readonly networks: readonly networkV1.NetworkRecord[];
  /** Of all containers of this host, whether they run or not. */
  readonly endpoints: readonly networkV1.Endpoint[];
}

/** As nft(8) prints and takes them: the port, the hardware address, the address; IPv6 as one number. */
export interface BoundAddress {
  readonly set: 'ipv4' | 'ipv6';
  readonly port: string;
  readonly element: string;
}

/** Every address of it begins so; the kernel makes one for each interface with IPv6. */
const LINK_LOCAL = 'fe80::/10';

/**
 * The bridge table that keeps members of networks of users from speaking with each other's addresses, as one transaction of nft(8) commands;
 * without a network the table goes. What is of a network's subnets, or a link-local IPv6 address, a container sends from only when it is its own;
 * its frames with other addresses are not judged here. VLAN tags do not pass: one with the number 0 would be taken off behind these rules.
 *
 * Addresses are added to the sets and never taken out here, for shims add theirs meanwhile. A raw number in the key of `ipv6` stands for a source
 * address and for what a neighbour advertisement is about.
 */
export function bindingRuleset({ table, networks, endpoints }: BindingRules): string {
  if (networks.length === 0) return `${removal(table).join('\n')}\n`;
  const blocks = networks.flatMap(({ subnets }) => subnets.map(({ cidr }) => cidr));
  const ofVersion = (version: number) => blocks.filter((cidr) => isIP(cidr.split('/')[0] ?? '') === version);
  const addresses = endpoints.flatMap(boundAddresses);
  const elements = (set: string, all: readonly string[]): readonly string[] =>
    all.length === 0 ? [] : [`add element bridge ${table} ${set} { ${all.join(', ')} }`];
  const own = (set: 'ipv4' | 'ipv6') => addresses.filter((one) => one.set === set).map(({ element }) => element);
  const rule = (text: string): string => `add rule bridge ${table} container ${text}`;
  return `${[
    `add table bridge ${table}`,
    `add chain bridge ${table} prerouting { type filter hook prerouting priority -300; policy accept; }`,
    `add chain bridge ${table} container`,
    `flush table bridge ${table}`,
    `add set bridge ${table} ipv4 { type ifname . ether_addr . ipv4_addr; }`,
    `add set bridge ${table} ipv6 { typeof iifname . ether saddr . @nh,64,128; }`,
    `add set bridge ${table} subnets4 { type ipv4_addr; flags interval; }`,
    `add set bridge ${table} subnets6 { type ipv6_addr; flags interval; }`,
    `flush set bridge ${table} subnets4`,
    `flush set bridge ${table} subnets6`,
    ...elements('subnets4', ofVersion(4)),
    ...elements('subnets6', [...ofVersion(6), LINK_LOCAL]),
    ...elements('ipv4', own('ipv4')),
    ...elements('ipv6', own('ipv6')),
    `add rule bridge ${table} prerouting iifname "atv*" jump container`,
    rule('ether type { 8021q, 8021ad } drop'),
    rule('ether type ip ip saddr @subnets4 iifname . ether saddr . ip saddr != @ipv4 drop'),
    rule('ether type arp arp saddr ip @subnets4 iifname . ether saddr . arp saddr ip != @ipv4 drop'),
    rule('ether type arp arp saddr ip @subnets4 iifname . arp saddr ether . arp saddr ip != @ipv4 drop'),
    rule('ether type ip6 ip6 saddr @subnets6 iifname . ether saddr . @nh,64,128 != @ipv6 drop'),
    rule('ether type ip6 icmpv6 type nd-neighbor-advert iifname . ether saddr . @th,64,128 != @ipv6 drop'),
  ].join('\n')}\n`;
}

/** For a table that is not as `bindingRuleset` needs it. */
export function removal(table: string): readonly string[] {
  return [`add table bridge ${table}`, `delete table bridge ${table}`];
}

/** What an endpoint's link may speak with; the same as the shim adds. */
export function boundAddresses(endpoint: networkV1.Endpoint): readonly BoundAddress[] {
  const { ipv4Address, ipv6Address, macAddress, asked } = endpoint;
  const addresses = [ipv4Address, ipv6Address, ...(asked?.linkLocalIps ?? [])].filter((one) => one !== '');
  const port = endpointInterfaceOf(endpoint.endpointId);
  const bound = (set: 'ipv4' | 'ipv6', key: string) => ({ set, port, element: `"${port}" . ${macAddress} . ${key}` });
  const sixes = addresses.filter((one) => isIP(one) === 6).map((one) => ipBytes(one));
  return [
    ...addresses.filter((one) => isIP(one) === 4).map((one) => bound('ipv4', one)),
    ...(sixes.length === 0 ? [] : [...sixes, linkLocalOf(macAddress)]).map((bytes) =>
      bound('ipv6', `0x${Buffer.from(bytes).toString('hex')}`),
    ),
  ];
}

/** The address the kernel makes of a hardware address (EUI-64, RFC 4291). */
function linkLocalOf(macAddress: string): Buffer {
  const mac = Buffer.from(macAddress.replaceAll(':', ''), 'hex');
  const id = Buffer.concat([mac.subarray(0, 3), Buffer.from([0xff, 0xfe]), mac.subarray(3)]);
  id.writeUInt8(id.readUInt8(0) ^ 2, 0);
  return Buffer.concat([Buffer.from('fe80000000000000', 'hex'), id]);
}

/** From `nft -j list set`: elements whose port is none of these, as commands that take them away. */
export function staleElements(table: string, set: string, json: string, ports: ReadonlySet<string>): readonly string[] {
  const { nftables } = JSON.parse(json) as {
    nftables: readonly { readonly set?: { readonly elem?: readonly Listed[] } }[];
  };
  const keys = nftables.flatMap((one) => one.set?.elem ?? []).flatMap((one) => ('concat' in one ? [one.concat] : []));
  return keys
    .filter(([port = '']) => !ports.has(port))
    .map(([port, ...rest]) => `delete element bridge ${table} ${set} { "${port}" . ${rest.join(' . ')} }`);
}

type Listed = { readonly concat: readonly string[] } | object;

import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { invalidArgument } from '@atoll/errors';
import { runTool } from '../processes/run-tool.ts';
import type { Subnet } from './subnet.ts';

export type Protocol = 'tcp' | 'udp' | 'sctp';

/** A published port, resolved: `hostIp` empty means all addresses of the host. */
export interface PublishedPort {
  readonly protocol: Protocol;
  readonly hostIp: string;
  readonly hostPort: number;
  readonly address: string;
  readonly containerPort: number;
}

/** A port of another host's container: what arrives here for it goes on to that host. An empty address: not in that family. */
export interface ForwardedTarget {
  readonly protocol: Protocol;
  readonly hostPort: number;
  readonly ipv4: string;
  readonly ipv6: string;
}

/** Name of the table that belongs to one bridge; no other table is ever touched. */
export function tableOf(bridge: string): string {
  return /^[a-z0-9_]+$/i.test(bridge) && bridge.startsWith('atoll')
    ? bridge
    : `atoll_${createHash('sha256').update(bridge).digest('hex').slice(0, 10)}`;
}

/**
 * The whole table as one transaction of nft(8) commands: made anew, so that asserting it twice is safe and a table changed by
 * somebody else is repaired. Ports are looked up in maps, one step each whatever their number; own ones come first.
 *
 * Text form, not JSON: nft 1.0.6 (Debian 12) crashes on JSON maps whose value is address and port. All parts are checked values.
 */
export function fullRuleset(
  bridge: string,
  subnet: Subnet,
  ports: readonly PublishedPort[],
  forwarded: readonly ForwardedTarget[] = [],
): string {
  const table = tableOf(bridge);
  return [
    `add table ip ${table}`,
    `delete table ip ${table}`,
    `table ip ${table} {`,
    ...portMaps('ip'),
    // A container must not speak with an address that is not its network's, nor to the host's loopback.
    '  chain raw_prerouting {',
    '    type filter hook prerouting priority raw; policy accept;',
    `    iifname "${bridge}" ip daddr 127.0.0.0/8 drop`,
    `    iifname "${bridge}" ip saddr != ${subnet.cidr} ip saddr != 0.0.0.0 drop`,
    '  }',
    '  chain prerouting {',
    '    type nat hook prerouting priority dstnat; policy accept;',
    '    fib daddr type local jump ports',
    '  }',
    '  chain output {',
    '    type nat hook output priority -100; policy accept;',
    '    ip daddr != 127.0.0.0/8 fib daddr type local jump ports',
    '  }',
    '  chain postrouting {',
    '    type nat hook postrouting priority srcnat; policy accept;',
    `    ip saddr ${subnet.cidr} oifname != "${bridge}" masquerade`,
    // Hairpin: a container that reaches itself or a neighbour by a published port must get its answer from the host.
    `    ip saddr ${subnet.cidr} ip daddr ${subnet.cidr} ct status dnat masquerade`,
    // The answer has to come by here, for here it is translated back.
    `    ${FORWARDED_ON.ip}`,
    '  }',
    // From outside only what is published, and answers.
    '  chain forward {',
    '    type filter hook forward priority filter; policy accept;',
    `    oifname "${bridge}" ct state established,related accept`,
    `    oifname "${bridge}" ct status dnat accept`,
    `    oifname "${bridge}" iifname != "${bridge}" drop`,
    '  }',
    '}',
    ...ipv6Table(table, ports, forwarded),
    ...ports.map((port) => addPort(table, port)),
    ...forwarded.flatMap((target) => addForwarded(table, target)),
    '',
  ].join('\n');
}

/** A table of a bridge as the kernel has it, without elements of sets; of one that is missing nothing. */
export function listTable(family: 'ip' | 'ip6' | 'bridge', bridge: string): Promise<string> {
  return runTool('nft', ['-t', 'list', 'table', family, tableOf(bridge)]).catch(() => '');
}

/** What left the maps of forwarded ports. */
const FORWARDED_ON = {
  ip: 'ct status dnat ip daddr . meta l4proto . th dport @forwarded_to masquerade',
  ip6: 'ct status dnat ip6 daddr . meta l4proto . th dport @forwarded_to masquerade',
};

function portMaps(family: 'ip' | 'ip6'): readonly string[] {
  const address = family === 'ip' ? 'ipv4_addr' : 'ipv6_addr';
  return [
    `  map published { type inet_proto . inet_service : ${address} . inet_service; }`,
    `  map published_at { type ${address} . inet_proto . inet_service : ${address} . inet_service; }`,
    `  map forwarded { type inet_proto . inet_service : ${address} . inet_service; }`,
    `  set forwarded_to { type ${address} . inet_proto . inet_service; }`,
    '  chain ports {',
    `    dnat ${family} to ${family} daddr . meta l4proto . th dport map @published_at`,
    `    dnat ${family} to meta l4proto . th dport map @published`,
    `    dnat ${family} to meta l4proto . th dport map @forwarded`,
    '  }',
  ];
}

/**
 * Ports of containers with IPv6 addresses; the default bridge has none, so most hosts have no such table. What may pass, and the
 * source translation for containers, is in the table of networks.
 */
function ipv6Table(
  table: string,
  ports: readonly PublishedPort[],
  forwarded: readonly ForwardedTarget[],
): readonly string[] {
  if (!ports.some(({ address }) => isIP(address) === 6) && forwarded.every(({ ipv6 }) => ipv6 === '')) return [];
  return [
    `add table ip6 ${table}`,
    `delete table ip6 ${table}`,
    `table ip6 ${table} {`,
    ...portMaps('ip6'),
    '  chain prerouting {',
    '    type nat hook prerouting priority dstnat; policy accept;',
    '    fib daddr type local jump ports',
    '  }',
    '  chain output {',
    '    type nat hook output priority -100; policy accept;',
    '    ip6 daddr != ::1 fib daddr type local jump ports',
    '  }',
    '  chain postrouting {',
    '    type nat hook postrouting priority srcnat; policy accept;',
    `    ${FORWARDED_ON.ip6}`,
    '  }',
    '}',
  ];
}

function addPort(table: string, port: PublishedPort): string {
  const key = `${port.protocol} . ${port.hostPort}`;
  const value = `${checked(port.address)} . ${port.containerPort}`;
  const map = `element ${isIP(port.address) === 6 ? 'ip6' : 'ip'} ${table}`;
  return port.hostIp === ''
    ? `add ${map} published { ${key} : ${value} }`
    : `add ${map} published_at { ${checked(port.hostIp)} . ${key} : ${value} }`;
}

function addForwarded(table: string, target: ForwardedTarget): string[] {
  const key = `${target.protocol} . ${target.hostPort}`;
  return [target.ipv4, target.ipv6].flatMap((address) => {
    if (address === '') return [];
    const family = isIP(address) === 6 ? 'ip6' : 'ip';
    return [
      `add element ${family} ${table} forwarded { ${key} : ${checked(address)} . ${target.hostPort} }`,
      `add element ${family} ${table} forwarded_to { ${checked(address)} . ${key} }`,
    ];
  });
}

function checked(address: string): string {
  if (isIP(address) === 0 || address.includes('%')) throw invalidArgument(`"${address}" is not an IP address`);
  return address;
}

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

/** Name of the table that belongs to one bridge; no other table is ever touched. */
export function tableOf(bridge: string): string {
  return /^[a-z0-9_]+$/i.test(bridge) && bridge.startsWith('atoll')
    ? bridge
    : `atoll_${createHash('sha256').update(bridge).digest('hex').slice(0, 10)}`;
}

/**
 * The whole table as one transaction of nft(8) commands: made anew, so that asserting it twice is safe and a table changed by
 * somebody else is repaired. Ports are looked up in two maps, one step whatever their number.
 *
 * Text form, not JSON: nft 1.0.6 (Debian 12) crashes on JSON maps whose value is address and port. All parts are checked values.
 */
export function fullRuleset(bridge: string, subnet: Subnet, ports: readonly PublishedPort[]): string {
  const table = tableOf(bridge);
  const lookup = [
    'dnat ip to ip daddr . meta l4proto . th dport map @published_at',
    'dnat ip to meta l4proto . th dport map @published',
  ];
  return [
    `add table ip ${table}`,
    `delete table ip ${table}`,
    `table ip ${table} {`,
    '  map published { type inet_proto . inet_service : ipv4_addr . inet_service; }',
    '  map published_at { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }',
    '  chain ports {',
    ...lookup.map((rule) => `    ${rule}`),
    '  }',
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
    '  }',
    // From outside only what is published, and answers.
    '  chain forward {',
    '    type filter hook forward priority filter; policy accept;',
    `    oifname "${bridge}" ct state established,related accept`,
    `    oifname "${bridge}" ct status dnat accept`,
    `    oifname "${bridge}" iifname != "${bridge}" drop`,
    '  }',
    '}',
    ...ipv6Table(table, ports),
    ...ports.map((port) => elementCommand('add', table, port)),
    '',
  ].join('\n');
}

/** Publishes or withdraws ports; one transaction. */
export function portCommands(change: 'add' | 'delete', bridge: string, ports: readonly PublishedPort[]): string {
  return `${ports.map((port) => elementCommand(change, tableOf(bridge), port)).join('\n')}\n`;
}

/** The tables of a bridge as the kernel has them, without elements of sets; of one that is missing nothing. */
export async function listTables(bridge: string): Promise<string> {
  const list = (family: string): Promise<string> =>
    runTool('nft', ['-t', 'list', 'table', family, tableOf(bridge)]).catch(() => '');
  return (await Promise.all([list('ip'), list('bridge')])).join('');
}

/**
 * Ports of containers with IPv6 addresses; the default bridge has none, so most hosts have no such table. What may pass, and the
 * source translation, is in the table of networks.
 */
function ipv6Table(table: string, ports: readonly PublishedPort[]): readonly string[] {
  if (!ports.some(({ address }) => isIP(address) === 6)) return [];
  return [
    `add table ip6 ${table}`,
    `delete table ip6 ${table}`,
    `table ip6 ${table} {`,
    '  map published { type inet_proto . inet_service : ipv6_addr . inet_service; }',
    '  map published_at { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }',
    '  chain ports {',
    '    dnat ip6 to ip6 daddr . meta l4proto . th dport map @published_at',
    '    dnat ip6 to meta l4proto . th dport map @published',
    '  }',
    '  chain prerouting {',
    '    type nat hook prerouting priority dstnat; policy accept;',
    '    fib daddr type local jump ports',
    '  }',
    '  chain output {',
    '    type nat hook output priority -100; policy accept;',
    '    ip6 daddr != ::1 fib daddr type local jump ports',
    '  }',
    '}',
  ];
}

function elementCommand(change: 'add' | 'delete', table: string, port: PublishedPort): string {
  const key = `${port.protocol} . ${port.hostPort}`;
  const value = `${checked(port.address)} . ${port.containerPort}`;
  const map = `element ${isIP(port.address) === 6 ? 'ip6' : 'ip'} ${table}`;
  return port.hostIp === ''
    ? `${change} ${map} published { ${key} : ${value} }`
    : `${change} ${map} published_at { ${checked(port.hostIp)} . ${key} : ${value} }`;
}

function checked(address: string): string {
  if (isIP(address) === 0 || address.includes('%')) throw invalidArgument(`"${address}" is not an IP address`);
  return address;
}

import { isIP } from 'node:net';
import { isEncrypted } from '@atoll/docker-api';
import type { networkV1 } from '@atoll/proto';
import { tableOf } from '../nft-ruleset.ts';
import { BRIDGE_PREFIX, bridgeOf, VXLAN_PORT } from './overlay-device.ts';

export interface NetworksRules {
  /** The default bridge of this agent, whose name the table has. */
  readonly defaultBridge: string;
  /** What VXLAN packets are sent from. */
  readonly hostIp: string;
  readonly networks: readonly networkV1.NetworkRecord[];
  /** Addresses of the other hosts with members of networks that are not encrypted. */
  readonly peers: Iterable<string>;
  /** Name of the device all packets of encrypted networks have to take. */
  readonly wireguard: string;
}

export const TUNNELS = 'tunnels';
const MASQUERADE_OPTION = 'com.docker.network.bridge.enable_ip_masquerade';

export function networksTable(defaultBridge: string): string {
  return `${tableOf(defaultBridge)}_networks`;
}

/**
 * The table of all networks of users on this host, as one transaction of nft(8) commands; without a network the table goes. All
 * parts are checked values.
 */
export function networksRuleset(rules: NetworksRules): string {
  const table = networksTable(rules.defaultBridge);
  const removal = [`add table inet ${table}`, `delete table inet ${table}`];
  if (rules.networks.length === 0) return `${removal.join('\n')}\n`;
  return `${[...removal, `table inet ${table} {`, ...sets(rules), ...chains(rules), '}'].join('\n')}\n`;
}

/** Addresses VXLAN packets come from, elements of the set `tunnels`: the one thing that changes with members alone. */
export function tunnelsOf({ hostIp, peers }: NetworksRules): ReadonlySet<string> {
  return new Set([hostIp, ...peers].filter((address) => isIP(address) === 4));
}

function sets(rules: NetworksRules): readonly string[] {
  const { networks } = rules;
  const blocks = networks.flatMap((network) =>
    network.subnets.map(({ cidr }) => ({ network, cidr, version: isIP(cidr.split('/')[0] ?? '') })),
  );
  const own = (version: number): string[] =>
    blocks.filter((one) => one.version === version).map(({ network, cidr }) => `"${bridgeOf(network.id)}" . ${cidr}`);
  const masked = (version: number): string[] =>
    blocks.filter((one) => one.version === version && leaves(one.network)).map(({ cidr }) => cidr);
  const gateways = (version: number): string[] =>
    networks.flatMap(({ subnets }) => subnets.map(({ gateway }) => gateway)).filter((one) => isIP(one) === version);
  const names = (some: readonly networkV1.NetworkRecord[]): string[] => some.map(({ id }) => `"${bridgeOf(id)}"`);
  return [
    set('encrypted', 'type ifname;', names(networks.filter(isEncrypted))),
    set('internal', 'type ifname;', names(networks.filter(({ internal }) => internal))),
    set(
      'own',
      'typeof iifname . oifname;',
      names(networks).map((name) => `${name} . ${name}`),
    ),
    set('blocks4', 'type ifname . ipv4_addr; flags interval;', own(4)),
    set('blocks6', 'type ifname . ipv6_addr; flags interval;', own(6)),
    set('gateways4', 'type ipv4_addr;', gateways(4)),
    set('gateways6', 'type ipv6_addr;', gateways(6)),
    set('masked4', 'type ipv4_addr; flags interval;', masked(4)),
    set('masked6', 'type ipv6_addr; flags interval;', masked(6)),
    set(TUNNELS, 'type ipv4_addr;', [...tunnelsOf(rules)]),
  ];
}

function leaves({ internal, options }: networkV1.NetworkRecord): boolean {
  return !internal && options[MASQUERADE_OPTION] !== 'false';
}

function set(name: string, type: string, elements: readonly string[]): string {
  return `  set ${name} { ${type}${elements.length > 0 ? ` elements = { ${elements.join(', ')} };` : ''} }`;
}

function chains({ defaultBridge, networks, wireguard }: NetworksRules): readonly string[] {
  const any = `"${BRIDGE_PREFIX}*"`;
  const vnisOf = (some: readonly networkV1.NetworkRecord[]): string =>
    some.flatMap(({ vni }) => (vni === 0 ? [] : [vni])).join(', ');
  const clear = vnisOf(networks.filter((network) => !isEncrypted(network)));
  const secret = vnisOf(networks.filter(isEncrypted));
  const ofVni = (vnis: string): string => `udp dport ${VXLAN_PORT} @th,96,24 { ${vnis} }`;
  const whenSecret = (...lines: readonly string[]): readonly string[] => (secret === '' ? [] : lines);
  return [
    '  chain raw_prerouting {',
    '    type filter hook prerouting priority raw; policy accept;',
    `    iifname ${any} jump members`,
    `    iifname "${defaultBridge}" udp dport ${VXLAN_PORT} ip daddr @tunnels drop`,
    ...(clear === '' ? [] : [`    ${ofVni(clear)} fib daddr type local ip saddr != @tunnels drop`]),
    // Encrypt or drop: what arrives in clear text is not of the network, and nothing else comes by the device.
    ...whenSecret(
      `    iifname "${wireguard}" ${ofVni(secret)} accept`,
      `    iifname "${wireguard}" drop`,
      `    ${ofVni(secret)} fib daddr type local drop`,
    ),
    '  }',
    ...whenSecret(
      '  chain encrypt {',
      '    type filter hook postrouting priority raw; policy accept;',
      `    ${ofVni(secret)} oifname != "${wireguard}" drop`,
      '  }',
    ),
    // From containers of networks: each packet comes by here, also bridged ones where those are filtered.
    '  chain members {',
    // Whoever could send to the tunnels' port would be in every network.
    `    udp dport ${VXLAN_PORT} ip daddr @tunnels drop`,
    '    ip daddr 127.0.0.0/8 drop',
    '    ip6 daddr ::1 drop',
    // A container must not speak with an address that is not its network's.
    '    ip saddr != { 0.0.0.0, 169.254.0.0/16 } iifname . ip saddr != @blocks4 drop',
    '    ip6 saddr != { ::, fe80::/10 } iifname . ip6 saddr != @blocks6 drop',
    // What stays in a network is neither translated nor judged by its connection; what the gateway's address is in may be.
    '    iifname . ip daddr @blocks4 ip daddr != @gateways4 ip saddr != @gateways4 notrack',
    '    iifname . ip6 daddr @blocks6 ip6 daddr != @gateways6 ip6 saddr != @gateways6 notrack',
    '  }',
    // An internal network reaches of the host what is in the network: its gateway, if it has one.
    '  chain input {',
    '    type filter hook input priority filter; policy accept;',
    '    iifname @internal meta nfproto ipv4 iifname . ip daddr != @blocks4 ip daddr != { 224.0.0.0/4, 255.255.255.255 } drop',
    '    iifname @internal meta nfproto ipv6 iifname . ip6 daddr != @blocks6 ip6 daddr != { fe80::/10, ff00::/8 } drop',
    '  }',
    '  chain forward {',
    '    type filter hook forward priority filter; policy accept;',
    // What stays in a network comes by here only where bridged frames are filtered.
    '    iifname . oifname @own accept',
    // What a container makes up would come to the other host as ours.
    ...whenSecret(
      `    oifname "${wireguard}" drop`,
      // Nor does a packet between members leave by another way, should their network's bridge have lost its addresses.
      `    iifname @encrypted oifname != ${any} iifname . ip daddr @blocks4 drop`,
      `    iifname @encrypted oifname != ${any} iifname . ip6 daddr @blocks6 drop`,
    ),
    `    iifname ${any} oifname ${any} drop`,
    `    iifname ${any} oifname "${defaultBridge}" drop`,
    `    iifname "${defaultBridge}" oifname ${any} drop`,
    `    iifname @internal drop`,
    `    iifname ${any} ip saddr 169.254.0.0/16 drop`,
    // From outside only what is published, and answers.
    `    oifname ${any} ct state established,related accept`,
    `    oifname ${any} ct status dnat accept`,
    `    oifname ${any} drop`,
    '  }',
    '  chain postrouting {',
    '    type nat hook postrouting priority srcnat; policy accept;',
    `    ip saddr @masked4 oifname != ${any} masquerade`,
    `    ip6 saddr @masked6 oifname != ${any} masquerade`,
    // Hairpin: a container that reaches itself or a neighbour by a published port must get its answer from the host.
    `    ip saddr @masked4 oifname ${any} ct status dnat masquerade`,
    `    ip6 saddr @masked6 oifname ${any} ct status dnat masquerade`,
    '  }',
  ];
}

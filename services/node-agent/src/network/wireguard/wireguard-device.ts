import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import type { networkV1 } from '@atoll/proto';
import type { KernelLink } from '../user/overlay-device.ts';
import { innerAddress } from './inner-address.ts';

export const WIREGUARD_PREFIX = 'atw';
/** Outer IP and UDP headers, WireGuard's own and its tag (whitepaper, 5.4.6). */
const OVERHEAD = { ipv4: 60, ipv6: 80 } as const;
const PREFIX_LENGTH = 64;

/** Another host, as this one's device has to know it. */
export interface WireGuardPeer {
  readonly publicKey: string;
  readonly hostIp: string;
  readonly port: number;
}

/** Name of the device of the agent with this default bridge, so that two agents can share a network namespace. */
export function wireguardDeviceOf(defaultBridge: string): string {
  return `${WIREGUARD_PREFIX}${createHash('sha256').update(defaultBridge).digest('hex').slice(0, 8)}`;
}

/** What a packet inside may be long when packets of the host may be `hostMtu`. */
export function innerMtu(hostMtu: number, hostIp: string): number {
  return hostMtu - (isIP(hostIp) === 6 ? OVERHEAD.ipv6 : OVERHEAD.ipv4);
}

export function peerOf({ hostIp, wireguard }: networkV1.Member): WireGuardPeer | undefined {
  return wireguard && hostIp !== '' ? { hostIp, ...wireguard } : undefined;
}

/** Lines of `ip -batch` that bring the device, which is there, into form. */
export function linkCommands(
  device: { readonly name: string; readonly address: string; readonly mtu: number },
  links: readonly KernelLink[],
): readonly string[] {
  const { name, address, mtu } = device;
  const own = links.find(({ ifname }) => ifname === name)?.addr_info ?? [];
  return [
    ...own
      .filter(({ local, prefixlen }) => local !== address || prefixlen !== PREFIX_LENGTH)
      .map(({ local, prefixlen }) => `addr del ${local}/${prefixlen} dev ${name}`),
    `link set dev ${name} mtu ${mtu} addrgenmode none up`,
    ...(own.some(({ local, prefixlen }) => local === address && prefixlen === PREFIX_LENGTH)
      ? []
      : [`addr add ${address}/${PREFIX_LENGTH} dev ${name} nodad`]),
  ];
}

/** What `wg show <device> allowed-ips` prints: public key -> addresses with prefix length. */
export function knownPeers(text: string): ReadonlyMap<string, string> {
  const rows = text.split('\n').filter((line) => line !== '');
  return new Map(rows.map((line) => line.split('\t') as [string, string]));
}

/**
 * Arguments of `wg set <device>` that bring its peers into form, given those it has and the endpoints it was last given. A peer may speak from
 * its own inner address only; no packets are sent to keep a connection alive.
 */
export function peerArguments(
  wanted: readonly WireGuardPeer[],
  known: ReadonlyMap<string, string>,
  given: ReadonlyMap<string, string>,
): readonly string[] {
  const keys = new Set(wanted.map(({ publicKey }) => publicKey));
  const stale = [...known.keys()].filter((key) => !keys.has(key));
  return [
    ...stale.flatMap((key) => ['peer', key, 'remove']),
    ...wanted.flatMap((peer) => {
      const allowed = `${innerAddress(peer.publicKey)}/128`;
      if (known.get(peer.publicKey) === allowed && given.get(peer.publicKey) === endpointOf(peer)) return [];
      return ['peer', peer.publicKey, 'endpoint', endpointOf(peer), 'allowed-ips', allowed];
    }),
  ];
}

export function endpointOf({ hostIp, port }: WireGuardPeer): string {
  return isIP(hostIp) === 6 ? `[${hostIp}]:${port}` : `${hostIp}:${port}`;
}

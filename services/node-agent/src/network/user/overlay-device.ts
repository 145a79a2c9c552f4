import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import type { networkV1 } from '@atoll/proto';
import type { KernelEntries } from './forwarding-entries.ts';

/** Standard port of VXLAN (RFC 7348). */
export const VXLAN_PORT = 4789;
/** Outer IP and UDP headers, VXLAN's own and the inner Ethernet header. */
export const ENCAPSULATION_BYTES = { ipv4: 50, ipv6: 70 } as const;

export const BRIDGE_PREFIX = 'atn';
export const VXLAN_PREFIX = 'atx';

/** Names of a network's devices on every host. */
export function bridgeOf(networkId: string): string {
  return `${BRIDGE_PREFIX}${networkId.slice(0, 8)}`;
}

export function vxlanOf(networkId: string): string {
  return `${VXLAN_PREFIX}${networkId.slice(0, 8)}`;
}

/** The gateway's MAC address, the same on every host: a container that moves finds its gateway where it was. */
export function gatewayMac(networkId: string): string {
  const hash = createHash('sha256').update(`gateway of ${networkId}`).digest('hex');
  return ['02', '61', ...(hash.slice(0, 8).match(/../g) as string[])].join(':');
}

/** What VXLAN packets of a network are sent over: the host's own address, or its WireGuard device. */
export interface Underlay {
  readonly address: string;
  /** The only device they may take; absent: as routes say. */
  readonly device?: string;
  /** Of packets with VXLAN's headers, and how long those are. */
  readonly mtu: number;
  readonly encapsulation: number;
}

export function mtuOf(network: networkV1.NetworkRecord, underlay: Pick<Underlay, 'mtu' | 'encapsulation'>): number {
  return network.mtu || underlay.mtu - (network.vni === 0 ? 0 : underlay.encapsulation);
}

/** Gateway addresses with prefix length. */
export function gatewaysOf(network: networkV1.NetworkRecord): readonly string[] {
  return network.subnets.flatMap(({ cidr, gateway }) => (gateway === '' ? [] : [`${gateway}/${cidr.split('/')[1]}`]));
}

export function hasIpv6(network: networkV1.NetworkRecord): boolean {
  return network.ipv6 || network.subnets.some(({ cidr }) => isIP(cidr.split('/')[0] ?? '') === 6);
}

/** What `ip -json -details addr show` says of a device, as far as it is needed. */
export interface KernelLink {
  readonly ifname: string;
  readonly flags?: readonly string[];
  readonly master?: string;
  readonly mtu?: number;
  readonly address?: string;
  readonly addr_info?: ReadonlyArray<{ readonly local?: string; readonly prefixlen?: number; readonly scope?: string }>;
  readonly linkinfo?: {
    readonly info_data?: {
      readonly id?: number;
      readonly local?: string;
      readonly local6?: string;
      readonly link?: string;
    };
  };
}

export interface DeviceWish {
  readonly network: networkV1.NetworkRecord;
  readonly underlay: Underlay;
  readonly mtu: number;
}

/** Lines of `ip -batch` that make the network's bridge, or bring one that is there into form. `links`: all of the host. */
export function bridgeCommands({ network, mtu }: DeviceWish, links: readonly KernelLink[]): readonly string[] {
  const name = bridgeOf(network.id);
  const found = links.find(({ ifname }) => ifname === name);
  const wanted = gatewaysOf(network);
  const present = (found?.addr_info ?? [])
    .filter(({ scope }) => scope !== 'link')
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
  return [
    // Its members are known: nothing is to be learnt from group reports, and discovery must reach the device that answers it.
    ...(found ? [] : [`link add name ${name} type bridge mcast_snooping 0`]),
    `link set dev ${name} address ${gatewayMac(network.id)} mtu ${mtu} up`,
    ...present.filter((address) => !wanted.includes(address)).map((address) => `addr del ${address} dev ${name}`),
    ...wanted
      .filter((address) => !present.includes(address))
      .map(
        (address) =>
          `addr add ${address} dev ${name}${isIP(address.split('/')[0] ?? '') === 6 ? ' nodad' : ' broadcast +'}`,
      ),
  ];
}

/** The same for its VXLAN device. One with another VNI, local address or device below it is made anew. */
export function vxlanCommands({ network, underlay, mtu }: DeviceWish, links: readonly KernelLink[]): readonly string[] {
  if (network.vni === 0) return [];
  const name = vxlanOf(network.id);
  const found = links.find(({ ifname }) => ifname === name);
  const data = found?.linkinfo?.info_data;
  const { address, device } = underlay;
  const fits =
    found !== undefined && data?.id === network.vni && (data.local ?? data.local6) === address && data.link === device;
  const below = device === undefined ? '' : ` dev ${device}`;
  return [
    ...(found && !fits ? [`link del dev ${name}`] : []),
    ...(fits
      ? []
      : [
          `link add name ${name} type vxlan id ${network.vni} local ${address}${below} dstport ${VXLAN_PORT} nolearning proxy`,
        ]),
    `link set dev ${name} mtu ${mtu} addrgenmode none master ${bridgeOf(network.id)} up`,
  ];
}

/** A line of `bridge -batch`: who is behind the device is told, so it gets no frames for nobody knows whom. */
export function vxlanPortCommand(network: networkV1.NetworkRecord): string {
  return `link set dev ${vxlanOf(network.id)} learning off flood off`;
}

/** Where frames for a member go, as bridge(8) takes it after `dst`. */
export function targetOf(address: string, device: string | undefined): string {
  return device === undefined ? address : `${address} via ${device}`;
}

/** The entries there are, from `bridge -json fdb show dev <vxlan>` and `ip -json neigh show dev <vxlan> nud permanent`. */
export function kernelEntries(forwardingJson: string, neighboursJson: string): KernelEntries {
  const forwarding = JSON.parse(forwardingJson || '[]') as {
    mac: string;
    dst?: string;
    viaIf?: string;
    master?: string;
    flags?: string[];
  }[];
  const neighbours = JSON.parse(neighboursJson || '[]') as { dst: string; lladdr?: string; state?: string[] }[];
  const inBridge = new Set(forwarding.flatMap(({ mac, master }) => (master === undefined ? [] : [mac])));
  return {
    forwarding: new Map(
      forwarding.flatMap(({ mac, dst, viaIf }) => {
        if (dst === undefined) return [];
        return [[mac, inBridge.has(mac) ? targetOf(dst, viaIf) : ''] as const];
      }),
    ),
    neighbours: new Map(
      neighbours.flatMap(({ dst, lladdr, state }) =>
        lladdr !== undefined && state?.includes('PERMANENT') ? [[dst, lladdr] as const] : [],
      ),
    ),
  };
}

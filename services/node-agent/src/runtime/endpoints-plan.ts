import { ipBytes } from './ip-bytes.ts';
import { PLAN_TAG } from './plan-tags.ts';
import { PlanWriter } from './plan-writer.ts';

/** A container's links to networks of users: part of its plan, and all that it is to have after a CONNECT frame. */
export interface EndpointsPlan {
  readonly links: readonly EndpointPlan[];
  /** At most one of each family; replaces the default route there is. */
  readonly gateways: readonly GatewayPlan[];
  /** Paths below /proc/sys, such as `net/ipv4/conf/eth1/forwarding`. */
  readonly sysctls?: Readonly<Record<string, string>> | undefined;
  /** The resolver's socket, relative to the bundle, at most 107 bytes; absent: nothing listens on 127.0.0.11. */
  readonly dns?: string | undefined;
  /** The bridge table that is told which addresses a new link may speak with. */
  readonly binding?: string | undefined;
}

export type EndpointPlan = BridgeLinkPlan | MacvlanLinkPlan;

/** A veth pair to a bridge of the host. */
export interface BridgeLinkPlan extends LinkPlan {
  readonly bridge: string;
}

/** A link on an interface of the host that is in the container as a whole. */
export interface MacvlanLinkPlan extends LinkPlan {
  readonly parent: string;
  readonly mode: MacvlanMode;
}

/** The kernel's numbers (linux/if_link.h). */
export const MACVLAN_MODE = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
export type MacvlanMode = keyof typeof MACVLAN_MODE;

interface LinkPlan {
  /** Name of the veth end on the host, at most 15 bytes; of a macvlan link, which has none, what tells it from others. */
  readonly hostInterface: string;
  readonly containerInterface: string;
  readonly macAddress: string;
  /** Of a macvlan link 0 stands for its parent's. */
  readonly mtu: number;
  /** IPv4 or IPv6 with prefix length, at most 16. Without an IPv6 one the interface has no IPv6 at all. */
  readonly addresses: readonly string[];
}

export interface GatewayPlan {
  readonly interface: string;
  readonly address: string;
}

/** The payload of a CONNECT frame. Throws RangeError for values that have no wire form. */
export function encodeEndpoints(plan: EndpointsPlan): Buffer {
  const writer = new PlanWriter();
  writeEndpoints(writer, plan);
  return writer.take();
}

export function writeEndpoints(writer: PlanWriter, plan: EndpointsPlan): void {
  for (const link of plan.links) {
    const isMacvlan = 'parent' in link;
    writer.record(isMacvlan ? PLAN_TAG.macvlan : PLAN_TAG.endpoint, (w) => {
      w.text(isMacvlan ? link.parent : link.bridge);
      w.text(link.hostInterface);
      w.text(link.containerInterface);
      w.bytes(macBytes(link.macAddress));
      w.u32(link.mtu);
      if (isMacvlan) w.u8(MACVLAN_MODE[link.mode]);
      w.u8(link.addresses.length);
      for (const address of link.addresses) writeIp(w, address);
    });
  }
  for (const gateway of plan.gateways) {
    writer.record(PLAN_TAG.gateway, (w) => {
      w.text(gateway.interface);
      writeIp(w, `${gateway.address}/0`);
    });
  }
  for (const [key, value] of Object.entries(plan.sysctls ?? {})) {
    writer.record(PLAN_TAG.endpointSysctl, (w) => {
      w.text(key);
      w.text(value);
    });
  }
  const { dns, binding } = plan;
  if (dns !== undefined) writer.record(PLAN_TAG.dns, (w) => w.text(dns));
  if (binding !== undefined) writer.record(PLAN_TAG.binding, (w) => w.text(binding));
}

function writeIp(writer: PlanWriter, cidr: string): void {
  const [address = '', prefix = ''] = cidr.split('/');
  const bytes = ipBytes(address);
  writer.u8(bytes.length === 4 ? 4 : 6);
  writer.bytes(bytes);
  writer.u8(Number(prefix));
}

export function macBytes(address: string): Buffer {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(address)) throw new RangeError(`"${address}" is not a MAC address`);
  return Buffer.from(address.replaceAll(':', ''), 'hex');
}

import { isIP, isIPv6 } from 'node:net';
import type { containerV1 } from '@atoll/proto';
import type { Constraint } from '@atoll/scheduling';
import type { ClusterState } from './cluster-state.ts';

type Binding = containerV1.PortBinding;

const WILDCARDS: ReadonlySet<string> = new Set(['', '0.0.0.0', '::']);

/** Published on the addresses of every host, not on one host or one address only. */
export function isClusterWide({ hostIp, hostOnly }: Binding): boolean {
  return !hostOnly && WILDCARDS.has(hostIp);
}

/** Whether two addresses a port is published on have one in common; an empty one stands for all. */
export function addressesMeet(a: string, b: string): boolean {
  return a === b || WILDCARDS.has(a) || WILDCARDS.has(b);
}

/** How docker's errors name the host's side of a port. */
export function boundAddress({ hostIp, gatewayIp }: Binding): string {
  const address = gatewayIp || hostIp || '0.0.0.0';
  return isIPv6(address) ? `[${address}]` : address;
}

/** A port on an address of a certain host can be published by that host only. An address of no host is the gateway's affair. */
export function addressConstraints(state: ClusterState, ports: readonly Binding[]): Constraint[] {
  const asked = new Set(ports.map(({ hostIp }) => hostIp).filter((ip) => !WILDCARDS.has(ip) && isIP(ip) !== 0));
  return [...asked].flatMap((ip) => {
    const hosts = hostsWith(state, ip);
    if (hosts.size === 0) return [];
    return [{ text: `a published port's address ${ip}`, soft: false, matches: (node) => hosts.has(node.id) }];
  });
}

/** Ids of the nodes that have an address, loopback ones excluded. */
export function hostsWith(state: ClusterState, ip: string): ReadonlySet<string> {
  const hosts = new Set<string>();
  if (ip.startsWith('127.') || ip === '::1') return hosts;
  for (const { id, facts } of state.nodes.values()) if (facts?.hostIp === ip || facts?.hostIpv6 === ip) hosts.add(id);
  return hosts;
}

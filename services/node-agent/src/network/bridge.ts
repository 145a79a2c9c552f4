import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { runTool } from '../processes/run-tool.ts';
import { macOf } from './ipv4.ts';
import type { Subnet } from './subnet.ts';

/** Name of the bridge of a node that was given none. */
export function bridgeNameOf(nodeId: string): string {
  return `atoll${createHash('sha256').update(nodeId).digest('hex').slice(0, 8)}`;
}

/** Makes the bridge as wanted, or brings an existing one into that form. Safe to repeat. */
export async function ensureBridge(name: string, subnet: Subnet, mtu: number): Promise<void> {
  const existing = await addressesOf(name);
  const own = `${subnet.gateway}/${subnet.prefixLength}`;
  const batch: string[] = [];
  if (existing === undefined) batch.push(`link add name ${name} type bridge`);
  for (const address of existing ?? []) if (address !== own) batch.push(`addr del ${address} dev ${name}`);
  // A fixed address of the link: otherwise the bridge takes over the lowest of its ports' and changes it while traffic flows.
  batch.push(`link set dev ${name} address ${macOf(subnet.gateway)} mtu ${mtu} up`);
  if (!existing?.includes(own)) batch.push(`addr add ${own} broadcast + dev ${name}`);
  await runTool('ip', ['-batch', '-'], { input: `${batch.join('\n')}\n` });
  await refuseIpv6(name);
  await ensureForwarding();
}

/**
 * The network has no IPv6, but the host's own end would take addresses and routes from any container that sends router
 * advertisements (CVE-2020-13401). Written in this order: what had been taken before goes with the last.
 */
async function refuseIpv6(bridge: string): Promise<void> {
  for (const [setting, value] of [
    ['accept_ra', '0'],
    ['disable_ipv6', '1'],
  ] as const) {
    await writeFile(`/proc/sys/net/ipv6/conf/${bridge}/${setting}`, value).catch((error: NodeJS.ErrnoException) => {
      // A kernel without IPv6 has nothing to refuse.
      if (error.code !== 'ENOENT') throw error;
    });
  }
}

/** IPv4 addresses with prefix length; undefined when there is no such link. */
async function addressesOf(name: string): Promise<readonly string[] | undefined> {
  const links = JSON.parse((await runTool('ip', ['-json', '-4', 'addr', 'show'])) || '[]') as Link[];
  const link = links.find(({ ifname }) => ifname === name);
  if (link) return (link.addr_info ?? []).flatMap(({ local, prefixlen }) => (local ? [`${local}/${prefixlen}`] : []));
  const all = JSON.parse((await runTool('ip', ['-json', 'link', 'show'])) || '[]') as Link[];
  return all.some(({ ifname }) => ifname === name) ? [] : undefined;
}

interface Link {
  readonly ifname?: string;
  readonly addr_info?: ReadonlyArray<{ readonly local?: string; readonly prefixlen?: number }>;
}

/** Routing between the bridge and the world (Documentation/networking/ip-sysctl.rst). */
export async function ensureForwarding(): Promise<void> {
  const path = '/proc/sys/net/ipv4/ip_forward';
  if ((await readFile(path, 'utf8')).trim() !== '1') await writeFile(path, '1');
}

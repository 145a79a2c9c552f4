import { createHash } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClusterNames, runCommand } from '@atoll/hosts';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import { AGENT_PORT, agentPlan } from '../supervisor/agent-plan.ts';
import { machineService } from '../supervisor/machine-service.ts';
import { pairs } from '../supervisor/service-process.ts';
import { SupervisedService } from '../supervisor/supervised-service.ts';
import type { MemberSettings } from './member-settings.ts';

/** The agent of a machine that joined, kept running. It needs no namespaces: the machine is the host. */
export async function memberAgent(paths: ClusterPaths, settings: MemberSettings): Promise<SupervisedService> {
  await mkdir(paths.readyDir, { recursive: true, mode: 0o700 });
  const labels = pairs(settings.labels);
  const plan = agentPlan(paths, {
    hostname: settings.hostname,
    address: settings.address,
    schedulers: settings.schedulers,
    registry: settings.registry,
    local: false,
    runtimes: settings.runtimes ?? {},
    extra: {
      ATOLL_LISTEN: `0.0.0.0:${AGENT_PORT}`,
      ATOLL_BRIDGE: memberBridge(paths.names()),
      ATOLL_USERNS_REMAP: settings.usernsRemap ?? '',
      ATOLL_SELINUX: settings.selinux ?? 'auto',
      ...(labels !== '' && { ATOLL_NODE_LABELS: labels }),
    },
  });
  return new SupervisedService(await machineService(paths, plan), () => undefined);
}

export function memberTlsDir(paths: ClusterPaths, hostname: string): string {
  return join(paths.hostData(hostname), 'tls');
}

/** Name of the containers' bridge on this machine, and of the nftables table that goes with it. */
export function memberBridge(names: ClusterNames): string {
  return names.bridge;
}

/**
 * Takes away what the agent made on the machine's own network: the default bridge, the devices of the networks it knew, and its
 * tables. Safe to repeat.
 */
export async function removeMemberNetwork(names: ClusterNames, hostData: string): Promise<void> {
  const bridge = memberBridge(names);
  const networks = (await readdir(join(hostData, 'networks')).catch(() => [])).filter((id) =>
    /^[0-9a-f]{64}$/.test(id),
  );
  const devices = networks.flatMap((id) => [`atx${id.slice(0, 8)}`, `atn${id.slice(0, 8)}`]);
  // The agent names it after its bridge.
  const wireguard = `atw${createHash('sha256').update(bridge).digest('hex').slice(0, 8)}`;
  for (const device of [bridge, ...devices, wireguard]) {
    await runCommand('ip', ['link', 'delete', device]).catch(() => undefined);
  }
  const tables = [`ip ${bridge}`, `ip6 ${bridge}`, `inet ${bridge}_networks`];
  const remove = (names: readonly string[]): Promise<unknown> =>
    runCommand('nft', ['-f', '-'], { input: names.map((table) => `table ${table}\ndelete table ${table}\n`).join('') });
  await remove(tables);
  // A kernel without bridge tables has none to remove.
  await remove([`bridge ${bridge}`, `bridge ${bridge}_networks`]).catch(() => undefined);
}

import { mkdir } from 'node:fs/promises';
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

/** Takes away what the agent made on the machine's own network. Safe to repeat. */
export async function removeMemberNetwork(names: ClusterNames): Promise<void> {
  const bridge = memberBridge(names);
  await runCommand('ip', ['link', 'delete', bridge]).catch(() => undefined);
  await runCommand('nft', ['-f', '-'], { input: `table ip ${bridge}\ndelete table ip ${bridge}\n` });
}

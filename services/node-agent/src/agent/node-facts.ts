import { readFile } from 'node:fs/promises';
import { arch, cpus, networkInterfaces, release, totalmem } from 'node:os';
import { nodeV1 } from '@atoll/proto';
import type { AppArmor } from '../apparmor/apparmor.ts';
import type { AgentConfig } from '../config.ts';
import { NATIVE_RUNTIME, type Runtimes } from '../containers/runtimes.ts';
import { unlessMissing } from '../files/missing.ts';
import { parentLinkKinds } from '../network/parent-interfaces.ts';
import type { WireGuard } from '../network/wireguard/wireguard.ts';
import type { IdMap } from '../runtime/plan.ts';
import type { StorageLimits } from '../runtime/shim-tools.ts';
import type { SELinux } from '../selinux/selinux.ts';
import { detectCgroupMode } from './cgroup-mode.ts';

/** Go's names for architectures, as Docker and OCI use them. */
const GO_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', arm: 'arm', arm64: 'arm64' };

export const AGENT_VERSION = '0.1.0';

/** What this host is and has. */
export async function detectNodeFacts(
  config: AgentConfig,
  runtimes: Runtimes,
  remap: IdMap | undefined,
  encryption: Pick<WireGuard, 'endpoint' | 'unable'>,
  apparmor: AppArmor,
  storage: StorageLimits,
  selinux: SELinux,
): Promise<nodeV1.NodeFacts> {
  const processors = cpus().length;
  return nodeV1.NodeFacts.fromPartial({
    hostname: config.ATOLL_HOSTNAME,
    address: config.ATOLL_ADVERTISE,
    os: 'linux',
    architecture: GO_ARCH[arch()] ?? arch(),
    kernelVersion: release(),
    operatingSystem: prettyName((await unlessMissing(readFile('/etc/os-release', 'utf8'))) ?? ''),
    memoryBytes: BigInt(totalmem()),
    nanoCpus: BigInt(processors) * 1_000_000_000n,
    cgroupMode: await detectCgroupMode(),
    agentVersion: AGENT_VERSION,
    labels: config.ATOLL_NODE_LABELS,
    hostIp: config.ATOLL_HOST_IP,
    hostIpv6: config.ATOLL_HOST_IPV6 ?? ipv6Beside(config.ATOLL_HOST_IP),
    runtimes: [
      { name: NATIVE_RUNTIME, path: config.ATOLL_SHIM },
      ...[...runtimes].map(([name, path]) => ({ name, path })),
    ],
    dataRoot: config.ATOLL_DATA_ROOT,
    local: config.ATOLL_LOCAL,
    usernsRemap: remap !== undefined,
    parentLinkKinds: [...(await parentLinkKinds())],
    wireguard: encryption.endpoint,
    noEncryption: encryption.unable ?? '',
    apparmor: apparmor.facts,
    storageLimits: storage.missing === '' ? storage.fileSystem : '',
    noStorageLimits: storage.missing,
    selinux: selinux.facts,
  });
}

/** The first global IPv6 address of the interface that has an IPv4 address; empty without one. */
function ipv6Beside(hostIp: string): string {
  const own = Object.values(networkInterfaces()).find((all) => all?.some(({ address }) => address === hostIp));
  const found = own?.find(({ family, internal, scopeid }) => family === 'IPv6' && !internal && scopeid === 0);
  return found?.address ?? '';
}

/** PRETTY_NAME of os-release(5), or `Linux`. */
export function prettyName(osRelease: string): string {
  const line = osRelease.split('\n').find((item) => item.startsWith('PRETTY_NAME='));
  return line ? line.slice('PRETTY_NAME='.length).replace(/^(["'])(.*)\1$/, '$2') : 'Linux';
}

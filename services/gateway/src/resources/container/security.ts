import { invalidArgument, unimplemented } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import type { HostConfigRequest } from './host-config-request.ts';

// biome-ignore format: a table; capabilities(7)
const CAPABILITIES = new Set([
  'ALL', 'AUDIT_CONTROL', 'AUDIT_READ', 'AUDIT_WRITE', 'BLOCK_SUSPEND', 'BPF', 'CHECKPOINT_RESTORE', 'CHOWN',
  'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'IPC_LOCK', 'IPC_OWNER', 'KILL', 'LEASE', 'LINUX_IMMUTABLE',
  'MAC_ADMIN', 'MAC_OVERRIDE', 'MKNOD', 'NET_ADMIN', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_RAW', 'PERFMON', 'SETFCAP',
  'SETGID', 'SETPCAP', 'SETUID', 'SYSLOG', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_CHROOT', 'SYS_MODULE', 'SYS_NICE', 'SYS_PACCT',
  'SYS_PTRACE', 'SYS_RAWIO', 'SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'WAKE_ALARM',
]);

/** What HostConfig says about privileges. @throws invalid-argument or unimplemented naming the option */
export function securityOf(host: HostConfigRequest): containerV1.Security {
  const oom = host.OomScoreAdj ?? 0;
  if (oom < -1000 || oom > 1000)
    throw invalidArgument(`Invalid value ${oom}, range for oom score adj is [-1000, 1000]`);
  const options = host.SecurityOpt ?? [];
  return containerV1.Security.fromPartial({
    capAdd: capabilities(host.CapAdd, 'CapAdd'),
    capDrop: capabilities(host.CapDrop, 'CapDrop'),
    privileged: host.Privileged ?? false,
    readOnlyRootfs: host.ReadonlyRootfs ?? false,
    ...readOptions(options),
    groupAdd: [...(host.GroupAdd ?? [])],
    oomScoreAdj: oom,
    maskedPaths: [...(host.MaskedPaths ?? [])],
    readonlyPaths: [...(host.ReadonlyPaths ?? [])],
    pathsGiven: host.MaskedPaths !== undefined || host.ReadonlyPaths !== undefined,
    securityOpt: [...options],
  });
}

function capabilities(names: readonly string[] | undefined, field: string): string[] {
  return (names ?? []).map((name) => {
    const short = name.toUpperCase().replace(/^CAP_/, '');
    if (!CAPABILITIES.has(short)) throw invalidArgument(`invalid ${field}: unknown capability: "${name}"`);
    return short === 'ALL' ? 'ALL' : `CAP_${short}`;
  });
}

function readOptions(options: readonly string[]): { noNewPrivileges: boolean; seccompUnconfined: boolean } {
  let noNewPrivileges = false;
  let seccompUnconfined = false;
  for (const option of options) {
    const [, name = option, value = ''] = /^([^=:]+)[=:](.*)$/s.exec(option) ?? [];
    if (name === 'no-new-privileges' && ['', 'true', 'false'].includes(value)) noNewPrivileges = value !== 'false';
    else if (name === 'seccomp' && value === 'unconfined') seccompUnconfined = true;
    else if (name === 'seccomp' && value === 'builtin') seccompUnconfined = false;
    else if (name === 'seccomp') throw unimplemented('HostConfig.SecurityOpt: own seccomp profiles are not built yet');
    else if (name === 'apparmor' && value !== 'unconfined') {
      throw unimplemented(`HostConfig.SecurityOpt: AppArmor profiles are not built yet (got "${value}")`);
    } else if (name === 'label' && value !== 'disable') {
      throw unimplemented(`HostConfig.SecurityOpt: SELinux labels are not built yet (got "${value}")`);
    } else if (name !== 'apparmor' && name !== 'label') throw invalidArgument(`invalid --security-opt 2: "${option}"`);
  }
  return { noNewPrivileges, seccompUnconfined };
}

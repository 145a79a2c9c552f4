import { invalidArgument } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import type { HostConfigRequest } from './host-config-request.ts';
import { seccompProfile } from './seccomp-profile.ts';
import { selinuxOptions } from './selinux-options.ts';

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
  const { systemPathsUnconfined, ...read } = readOptions(options, host);
  return containerV1.Security.fromPartial({
    capAdd: capabilities(host.CapAdd, 'CapAdd'),
    capDrop: capabilities(host.CapDrop, 'CapDrop'),
    privileged: host.Privileged ?? false,
    readOnlyRootfs: host.ReadonlyRootfs ?? false,
    ...read,
    groupAdd: [...(host.GroupAdd ?? [])],
    oomScoreAdj: oom,
    maskedPaths: [...(host.MaskedPaths ?? [])],
    readonlyPaths: [...(host.ReadonlyPaths ?? [])],
    pathsGiven: host.MaskedPaths !== undefined || host.ReadonlyPaths !== undefined || systemPathsUnconfined,
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

interface SecurityOptions {
  readonly noNewPrivileges: boolean;
  readonly seccompUnconfined: boolean;
  readonly seccompProfile?: containerV1.SeccompProfile;
  readonly writableCgroups: boolean;
  readonly systemPathsUnconfined: boolean;
  /** Empty: what the host has for all. */
  readonly apparmorProfile: string;
  /** Absent: what the host has for all. */
  readonly selinux?: containerV1.SELinuxOptions;
}

/** `name`, `name=value` or `name:value`; of two that say different things the later one holds, as in docker. */
function readOptions(options: readonly string[], host: HostConfigRequest): SecurityOptions {
  let [noNewPrivileges, writableCgroups, systemPathsUnconfined] = [false, false, false];
  let seccomp = 'builtin';
  let apparmorProfile = '';
  const labels: string[] = [];
  for (const option of options) {
    const [, name = option, value = ''] = /^([^=:]+)[=:](.*)$/s.exec(option) ?? [];
    if (name === 'no-new-privileges' && ['', 'true', 'false'].includes(value)) noNewPrivileges = value !== 'false';
    else if (name === 'seccomp' && value !== '') seccomp = value;
    else if (name === 'systempaths' && value === 'unconfined') systemPathsUnconfined = true;
    else if (name === 'writable-cgroups' && ['', 'true', 'false'].includes(value)) writableCgroups = value !== 'false';
    else if (name === 'apparmor' && value !== '') apparmorProfile = profileName(option, value);
    else if (name === 'label' && value !== '') labels.push(value);
    else throw invalidArgument(`invalid --security-opt 2: "${option.slice(0, 64)}"`);
  }
  if (writableCgroups && (host.CgroupnsMode === 'host' || host.Privileged)) {
    throw invalidArgument(
      'HostConfig.SecurityOpt: writable-cgroups is for unprivileged containers with a cgroup namespace of their own',
    );
  }
  if (systemPathsUnconfined && (host.MaskedPaths?.length || host.ReadonlyPaths?.length)) {
    throw invalidArgument(
      'HostConfig.SecurityOpt: systempaths=unconfined and MaskedPaths or ReadonlyPaths exclude each other',
    );
  }
  const ownProfile = seccomp !== 'builtin' && seccomp !== 'unconfined';
  return {
    noNewPrivileges,
    seccompUnconfined: seccomp === 'unconfined',
    ...(ownProfile ? { seccompProfile: seccompProfile(seccomp) } : {}),
    writableCgroups,
    systemPathsUnconfined,
    apparmorProfile,
    ...(labels.length > 0 ? { selinux: selinuxOptions(labels) } : {}),
  };
}

const PROFILE = /^[^\s\p{Cc}:&][^\s\p{Cc}]*$/u;
const MOST_PROFILE_BYTES = 255;

/** One profile of the host's own policy: names with `:` in front are of another policy namespace, `&` and `//&` put one on top of another. */
function profileName(option: string, name: string): string {
  if (PROFILE.test(name) && !name.includes('//&') && Buffer.byteLength(name) <= MOST_PROFILE_BYTES) return name;
  throw invalidArgument(
    `HostConfig.SecurityOpt: "${option.slice(0, 64)}": wants unconfined or the name of one AppArmor profile, at most ` +
      `${MOST_PROFILE_BYTES} bytes without spaces, no ":" or "&" in front and no "//&"`,
  );
}

import type { ContainerView } from './container-view.ts';
import { deviceFields } from './devices-view.ts';
import { bindTexts, mountObjects, tmpfsMap } from './mounts-view.ts';
import { networkName } from './networks-view.ts';
import { portBindings } from './ports-view.ts';

// biome-ignore format: two lists; docker's defaults
const MASKED_PATHS = [
  '/proc/asound', '/proc/acpi', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/timer_list',
  '/proc/timer_stats', '/proc/sched_debug', '/proc/scsi', '/sys/firmware', '/sys/devices/virtual/powercap',
];
const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** `HostConfig` of inspect, from the spec it became. */
export function hostConfigObject(view: ContainerView): Record<string, unknown> {
  const { spec } = view;
  const { resources: limits, security, network, process } = spec;
  const orNull = (list: readonly string[] | undefined): readonly string[] | null => (list?.length ? list : null);
  const privileged = security?.privileged ?? false;
  return {
    Binds: bindTexts(view),
    ContainerIDFile: '',
    LogConfig: { Type: spec.log?.type || 'json-file', Config: spec.log?.config ?? {} },
    NetworkMode: networkName(view),
    PortBindings: portBindings(view),
    RestartPolicy: {
      Name: spec.restartPolicy?.name || 'no',
      MaximumRetryCount: spec.restartPolicy?.maximumRetryCount ?? 0,
    },
    AutoRemove: spec.autoRemove,
    VolumeDriver: '',
    VolumesFrom: orNull(spec.volumesFrom),
    ...(mountObjects(view) === undefined ? {} : { Mounts: mountObjects(view) }),
    ConsoleSize: [process?.consoleHeight ?? 0, process?.consoleWidth ?? 0],
    ...(Object.keys(spec.annotations).length > 0 ? { Annotations: spec.annotations } : {}),
    CapAdd: orNull(security?.capAdd),
    CapDrop: orNull(security?.capDrop),
    CgroupnsMode: spec.cgroupnsMode || 'private',
    Dns: network?.dns ?? [],
    DnsOptions: network?.dnsOptions ?? [],
    DnsSearch: network?.dnsSearch ?? [],
    ExtraHosts: orNull(network?.extraHosts),
    GroupAdd: orNull(security?.groupAdd),
    IpcMode: spec.ipcMode || 'private',
    Cgroup: '',
    Links: orNull(spec.links.map(({ name, alias }) => `/${name}:/${spec.name}/${alias}`)),
    OomScoreAdj: security?.oomScoreAdj ?? 0,
    PidMode: spec.pidMode,
    Privileged: privileged,
    PublishAllPorts: network?.publishAll ?? false,
    ReadonlyRootfs: security?.readOnlyRootfs ?? false,
    SecurityOpt: orNull(security?.securityOpt),
    ...(Object.keys(spec.storageOpt).length > 0 ? { StorageOpt: spec.storageOpt } : {}),
    ...(tmpfsMap(view) === undefined ? {} : { Tmpfs: tmpfsMap(view) }),
    UTSMode: spec.utsMode,
    UsernsMode: spec.usernsMode,
    ShmSize: Number(spec.shmSize) || 64 * 1024 * 1024,
    ...(Object.keys(spec.sysctls).length > 0 ? { Sysctls: spec.sysctls } : {}),
    Runtime: spec.runtime || 'native',
    Isolation: '',
    CpuShares: Number(limits?.cpuShares ?? 0n),
    Memory: Number(limits?.memory ?? 0n),
    NanoCpus: Number(limits?.nanoCpus ?? 0n),
    CgroupParent: spec.cgroupParent,
    BlkioWeight: limits?.blkioWeight ?? 0,
    ...deviceFields(limits),
    CpuPeriod: Number(limits?.cpuPeriod ?? 0n),
    CpuQuota: Number(limits?.cpuQuota ?? 0n),
    CpuRealtimePeriod: Number(limits?.cpuRealtimePeriod ?? 0n),
    CpuRealtimeRuntime: Number(limits?.cpuRealtimeRuntime ?? 0n),
    CpusetCpus: limits?.cpusetCpus ?? '',
    CpusetMems: limits?.cpusetMems ?? '',
    MemoryReservation: Number(limits?.memoryReservation ?? 0n),
    MemorySwap: Number(limits?.memorySwap ?? 0n),
    MemorySwappiness: limits?.memorySwappiness === undefined ? null : Number(limits.memorySwappiness),
    OomKillDisable: limits?.oomKillDisable ?? false,
    PidsLimit: limits === undefined || limits.pidsLimit === 0n ? null : Number(limits.pidsLimit),
    Ulimits: spec.ulimits.map(({ name, soft, hard }) => ({ Name: name, Soft: Number(soft), Hard: Number(hard) })),
    Init: spec.init,
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
    MaskedPaths: privileged ? null : security?.pathsGiven ? security.maskedPaths : MASKED_PATHS,
    ReadonlyPaths: privileged ? null : security?.pathsGiven ? security.readonlyPaths : READONLY_PATHS,
  };
}

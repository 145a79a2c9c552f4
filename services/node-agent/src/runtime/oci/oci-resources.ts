import type { BlkioDevice, DeviceRule, ResourceLimits } from '../plan.ts';

const THROTTLES = {
  readBps: 'throttleReadBpsDevice',
  writeBps: 'throttleWriteBpsDevice',
  readIops: 'throttleReadIOPSDevice',
  writeIops: 'throttleWriteIOPSDevice',
} as const;

/** `linux.resources` of an OCI config, without devices: also what `update` of a runtime reads. */
export function ociResources(limits: ResourceLimits): Record<string, unknown> {
  const memory = without({
    limit: limits.memory,
    swap: limits.memoryAndSwap,
    reservation: limits.memoryReservation,
    swappiness: limits.swappiness,
    disableOOMKiller: limits.oomKillDisable,
  });
  const cpu = without({
    shares: limits.cpuShares,
    quota: limits.cpuQuota,
    period: limits.cpuPeriod,
    realtimePeriod: limits.cpuRealtimePeriod,
    realtimeRuntime: limits.cpuRealtimeRuntime,
    cpus: limits.cpusetCpus,
    mems: limits.cpusetMems,
  });
  return without({
    memory,
    cpu,
    pids: limits.pids === undefined ? undefined : { limit: limits.pids },
    blockIO: without({ weight: limits.blkioWeight, ...blockDevices(limits.blkioDevices ?? []) }),
  });
}

/** Deny all, then the rules; no rules: no restriction. */
export function ociDeviceRules(rules: readonly DeviceRule[]): readonly Record<string, unknown>[] {
  if (rules.length === 0) return [{ allow: true, access: 'rwm' }];
  const any = (number: number): number | undefined => (number < 0 ? undefined : number);
  return [
    { allow: false, access: 'rwm' },
    ...rules.map(({ allow, type, major, minor, access }) =>
      without({ allow, type, major: any(major), minor: any(minor), access }),
    ),
  ];
}

function blockDevices(devices: readonly BlkioDevice[]): Record<string, unknown> {
  const of = (kind: BlkioDevice['kind']): readonly BlkioDevice[] => devices.filter((device) => device.kind === kind);
  const lists = Object.entries(THROTTLES).map(([kind, name]) => [
    name,
    of(kind as BlkioDevice['kind']).map(({ major, minor, rate }) => ({ major, minor, rate })),
  ]);
  const weights = of('weight').map(({ major, minor, rate }) => ({ major, minor, weight: Number(rate) }));
  const all = [...lists, ['weightDevice', weights]] as const;
  return Object.fromEntries(all.filter(([, list]) => list?.length));
}

/** Leaves out what is not given. */
function without(fields: Record<string, unknown>): Record<string, unknown> {
  const given = Object.entries(fields).filter(
    ([, value]) => value !== undefined && !(isRecord(value) && Object.keys(value).length === 0),
  );
  return Object.fromEntries(given);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

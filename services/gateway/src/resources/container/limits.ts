import { invalidArgument } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';

/** The limits of a create or update request, in docker's units. */
export interface LimitRequest {
  readonly Memory?: number | undefined;
  readonly MemorySwap?: number | undefined;
  readonly MemoryReservation?: number | undefined;
  readonly MemorySwappiness?: number | undefined;
  readonly NanoCpus?: number | undefined;
  readonly CpuShares?: number | undefined;
  readonly CpuQuota?: number | undefined;
  readonly CpuPeriod?: number | undefined;
  readonly CpuRealtimePeriod?: number | undefined;
  readonly CpuRealtimeRuntime?: number | undefined;
  readonly CpusetCpus?: string | undefined;
  readonly CpusetMems?: string | undefined;
  readonly PidsLimit?: number | undefined;
  readonly OomKillDisable?: boolean | undefined;
  readonly BlkioWeight?: number | undefined;
}

/** The largest number of processors a kernel is built for (NR_CPUS) is 8192. */
const MAXIMUM_CPU = 8191;
/** The kernel takes no more than a page in a control file. */
const MAXIMUM_CPUSET_BYTES = 4095;
const MINIMUM_MEMORY = 6 * 1024 * 1024;

/** Limits as the spec carries them. @throws invalid-argument in docker's words */
export function limitsOf(request: LimitRequest): containerV1.Resources {
  checkMemory(request);
  checkCpu(request);
  checkRealtime(request);
  const weight = request.BlkioWeight ?? 0;
  if (weight !== 0 && (weight < 10 || weight > 1000)) {
    throw invalidArgument('Range of blkio weight is from 10 to 1000');
  }
  const swappiness = request.MemorySwappiness ?? -1;
  const pids = request.PidsLimit ?? 0;
  return containerV1.Resources.fromPartial({
    memory: BigInt(request.Memory ?? 0),
    memorySwap: BigInt(request.MemorySwap ?? 0),
    memoryReservation: BigInt(request.MemoryReservation ?? 0),
    nanoCpus: BigInt(request.NanoCpus ?? 0),
    cpuShares: BigInt(request.CpuShares ?? 0),
    cpuQuota: BigInt(request.CpuQuota ?? 0),
    cpuPeriod: BigInt(request.CpuPeriod ?? 0),
    cpuRealtimePeriod: BigInt(request.CpuRealtimePeriod ?? 0),
    cpuRealtimeRuntime: BigInt(request.CpuRealtimeRuntime ?? 0),
    cpusetCpus: cpuset(request.CpusetCpus ?? '', 'CpusetCpus'),
    cpusetMems: cpuset(request.CpusetMems ?? '', 'CpusetMems'),
    pidsLimit: BigInt(pids < 0 ? -1 : pids),
    ...(swappiness === -1 ? {} : { memorySwappiness: BigInt(swappiness) }),
    oomKillDisable: request.OomKillDisable ?? false,
    blkioWeight: weight,
  });
}

/** Realtime scheduling has a period of one second unless another is given. */
const REALTIME_PERIOD = 1_000_000;

function checkRealtime({ CpuRealtimePeriod: period = 0, CpuRealtimeRuntime: runtime = 0 }: LimitRequest): void {
  for (const [field, value] of Object.entries({ CpuRealtimePeriod: period, CpuRealtimeRuntime: runtime })) {
    if (value < 0 || value > 2 ** 31 - 1) {
      throw invalidArgument(
        `invalid value for HostConfig.${field}: want 0 to ${2 ** 31 - 1} microseconds (got ${value})`,
      );
    }
  }
  if (runtime > (period || REALTIME_PERIOD)) {
    throw invalidArgument('cpu real-time runtime cannot be higher than cpu real-time period');
  }
}

function checkMemory(request: LimitRequest): void {
  const memory = request.Memory ?? 0;
  const swap = request.MemorySwap ?? 0;
  const reservation = request.MemoryReservation ?? 0;
  const swappiness = request.MemorySwappiness ?? -1;
  if (memory < 0 || (memory > 0 && memory < MINIMUM_MEMORY)) {
    throw invalidArgument('Minimum memory limit allowed is 6MB');
  }
  if (swap < -1) throw invalidArgument('invalid value for HostConfig.MemorySwap: want -1 or more');
  if (memory > 0 && swap > 0 && swap < memory) {
    throw invalidArgument('Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  if (memory === 0 && swap > 0) {
    throw invalidArgument('You should always set the Memory limit when using Memoryswap limit, see usage');
  }
  if (swappiness < -1 || swappiness > 100) {
    throw invalidArgument(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
  if (reservation < 0 || (reservation > 0 && reservation < MINIMUM_MEMORY)) {
    throw invalidArgument('Minimum memory reservation allowed is 6MB');
  }
  if (memory > 0 && reservation > memory) {
    throw invalidArgument('Minimum memory limit can not be less than memory reservation limit, see usage');
  }
}

function checkCpu(request: LimitRequest): void {
  const nano = request.NanoCpus ?? 0;
  const period = request.CpuPeriod ?? 0;
  const quota = request.CpuQuota ?? 0;
  if (nano < 0) throw invalidArgument('invalid value for HostConfig.NanoCpus: want 0 or more');
  if (nano > 0 && period > 0) {
    throw invalidArgument('Conflicting options: Nano CPUs and CPU Period cannot both be set.');
  }
  if (nano > 0 && quota > 0) throw invalidArgument('Conflicting options: Nano CPUs and CPU Quota cannot both be set.');
  if (period !== 0 && (period < 1000 || period > 1_000_000)) {
    throw invalidArgument('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  }
  if (quota > 0 && quota < 1000) throw invalidArgument('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  if ((request.CpuShares ?? 0) < 0) throw invalidArgument('invalid value for HostConfig.CpuShares: want 0 or more');
}

/** Nothing is spelled out: a range stays two numbers, and neither is larger than any kernel knows. */
function cpuset(text: string, field: string): string {
  const isKnown =
    text.length <= MAXIMUM_CPUSET_BYTES &&
    /^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text) &&
    text.split(/[,-]/).every((number) => Number(number) <= MAXIMUM_CPU);
  if (text === '' || isKnown) return text;
  throw invalidArgument(
    `Invalid value ${text.slice(0, 100)} for ${field}: want numbers and ranges of 0 to ${MAXIMUM_CPU}`,
  );
}

import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { ResourceLimits } from '../runtime/plan.ts';

export const DEFAULT_PIDS_LIMIT = 4096;
const DEFAULT_PERIOD = 100_000;
/** Docker refuses less: no program starts in it. */
const MINIMUM_MEMORY = 6n * 1024n * 1024n;

/** Limits as the kernel takes them, from Docker's. Throws invalid-argument. */
export function resourceLimits(given: containerV1.Resources | undefined, swapAccounting: boolean): ResourceLimits {
  if (!given) return { pids: DEFAULT_PIDS_LIMIT };
  return {
    ...memoryLimits(given, swapAccounting),
    ...cpuLimits(given),
    ...(given.blkioWeight > 0 ? { blkioWeight: given.blkioWeight } : {}),
    pids: given.pidsLimit === 0n ? DEFAULT_PIDS_LIMIT : given.pidsLimit < 0n ? -1 : Number(given.pidsLimit),
  };
}

function memoryLimits(given: containerV1.Resources, swapAccounting: boolean): ResourceLimits {
  const { memory, memorySwap } = given;
  if (memory > 0n && memory < MINIMUM_MEMORY) throw invalidArgument('Minimum memory limit allowed is 6MB');
  if (memory > 0n && memorySwap > 0n && memorySwap < memory) {
    throw invalidArgument('Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  if (memorySwap !== 0n && !swapAccounting && memorySwap !== memory) {
    throw invalidArgument('this host cannot limit swap: its kernel does not account it; leave memory-swap out');
  }
  // Docker: as much swap as memory when a limit is given without one for swap.
  const swap = memorySwap !== 0n ? memorySwap : memory > 0n ? memory * 2n : undefined;
  return {
    ...(memory !== 0n ? { memory } : {}),
    ...(swap !== undefined && swapAccounting ? { memoryAndSwap: swap } : {}),
    ...(given.memoryReservation > 0n ? { memoryReservation: given.memoryReservation } : {}),
    ...(given.memorySwappiness !== undefined && given.memorySwappiness >= 0n
      ? { swappiness: Number(given.memorySwappiness) }
      : {}),
    ...(given.oomKillDisable ? { oomKillDisable: true } : {}),
  };
}

function cpuLimits(given: containerV1.Resources): ResourceLimits {
  const nano = Number(given.nanoCpus);
  if (nano > 0 && (given.cpuQuota > 0n || given.cpuPeriod > 0n)) {
    throw invalidArgument('Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set.');
  }
  const quota = nano > 0 ? Math.round((nano * DEFAULT_PERIOD) / 1e9) : Number(given.cpuQuota);
  const period = nano > 0 ? DEFAULT_PERIOD : Number(given.cpuPeriod);
  return {
    ...(given.cpuShares > 0n ? { cpuShares: Number(given.cpuShares) } : {}),
    ...(quota !== 0 ? { cpuQuota: quota } : {}),
    ...(period > 0 ? { cpuPeriod: period } : {}),
    ...(given.cpuRealtimePeriod > 0n ? { cpuRealtimePeriod: Number(given.cpuRealtimePeriod) } : {}),
    ...(given.cpuRealtimeRuntime > 0n ? { cpuRealtimeRuntime: Number(given.cpuRealtimeRuntime) } : {}),
    ...(given.cpusetCpus !== '' ? { cpusetCpus: given.cpusetCpus } : {}),
    ...(given.cpusetMems !== '' ? { cpusetMems: given.cpusetMems } : {}),
  };
}

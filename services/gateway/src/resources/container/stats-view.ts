import { formatRfc3339Nano } from '@atoll/docker-api';
import type { runtimeV1 } from '@atoll/proto';
import type { ContainerView } from './container-view.ts';

/** One sample of GET /containers/{id}/stats. */
export function statsObject(view: ContainerView, sample: runtimeV1.StatsResponse): Record<string, unknown> {
  const networks = Object.entries(sample.networks).map(([name, counters]) => [name, networkObject(counters)]);
  return {
    name: `/${view.spec.name}`,
    id: view.record.id,
    read: formatRfc3339Nano(sample.readNs),
    preread: formatRfc3339Nano(sample.prereadNs),
    num_procs: 0,
    pids_stats: {
      current: Number(sample.pidsCurrent),
      ...(sample.pidsLimit === 0n ? {} : { limit: Number(sample.pidsLimit) }),
    },
    blkio_stats: {
      io_service_bytes_recursive: blkio(sample.blkioBytes),
      io_serviced_recursive: blkio(sample.blkioOps),
      io_queue_recursive: null,
      io_service_time_recursive: null,
      io_wait_time_recursive: null,
      io_merged_recursive: null,
      io_time_recursive: null,
      sectors_recursive: null,
    },
    storage_stats: {},
    cpu_stats: cpuObject(sample.cpu),
    precpu_stats: cpuObject(sample.precpu),
    memory_stats: memoryObject(sample.memory),
    ...(networks.length === 0 ? {} : { networks: Object.fromEntries(networks) }),
  };
}

function cpuObject(cpu: runtimeV1.CpuStats | undefined): Record<string, unknown> {
  return {
    cpu_usage: {
      total_usage: Number(cpu?.totalUsage ?? 0n),
      usage_in_kernelmode: Number(cpu?.kernelUsage ?? 0n),
      usage_in_usermode: Number(cpu?.userUsage ?? 0n),
    },
    ...(cpu === undefined || cpu.systemUsage === 0n
      ? {}
      : { system_cpu_usage: Number(cpu.systemUsage), online_cpus: cpu.onlineCpus }),
    throttling_data: {
      periods: Number(cpu?.periods ?? 0n),
      throttled_periods: Number(cpu?.throttledPeriods ?? 0n),
      throttled_time: Number(cpu?.throttledTime ?? 0n),
    },
  };
}

function memoryObject(memory: runtimeV1.MemoryStats | undefined): Record<string, unknown> {
  if (memory === undefined) return {};
  return {
    usage: Number(memory.usage),
    ...(memory.maxUsage === 0n ? {} : { max_usage: Number(memory.maxUsage) }),
    stats: Object.fromEntries(Object.entries(memory.stats).map(([name, value]) => [name, Number(value)])),
    ...(memory.failcnt === 0n ? {} : { failcnt: Number(memory.failcnt) }),
    limit: Number(memory.limit),
  };
}

function networkObject(counters: runtimeV1.NetworkStats): Record<string, number> {
  return {
    rx_bytes: Number(counters.rxBytes),
    rx_packets: Number(counters.rxPackets),
    rx_errors: Number(counters.rxErrors),
    rx_dropped: Number(counters.rxDropped),
    tx_bytes: Number(counters.txBytes),
    tx_packets: Number(counters.txPackets),
    tx_errors: Number(counters.txErrors),
    tx_dropped: Number(counters.txDropped),
  };
}

function blkio(entries: readonly runtimeV1.BlkioEntry[]): readonly Record<string, unknown>[] {
  return entries.map(({ major, minor, op, value }) => ({
    major: Number(major),
    minor: Number(minor),
    op,
    value: Number(value),
  }));
}

/** What a container that does not run uses: nothing. */
export function emptyStats(view: ContainerView): Record<string, unknown> {
  return {
    name: `/${view.spec.name}`,
    id: view.record.id,
    read: formatRfc3339Nano(0n),
    preread: formatRfc3339Nano(0n),
    num_procs: 0,
    pids_stats: {},
    blkio_stats: {
      io_service_bytes_recursive: null,
      io_serviced_recursive: null,
      io_queue_recursive: null,
      io_service_time_recursive: null,
      io_wait_time_recursive: null,
      io_merged_recursive: null,
      io_time_recursive: null,
      sectors_recursive: null,
    },
    storage_stats: {},
    cpu_stats: cpuObject(undefined),
    precpu_stats: cpuObject(undefined),
    memory_stats: {},
  };
}

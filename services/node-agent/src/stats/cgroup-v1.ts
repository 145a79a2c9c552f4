import { join } from 'node:path';
import type { runtimeV1 } from '@atoll/proto';
import type { CgroupReader, CgroupSample } from './cgroup-reader.ts';
import { readLines, readNumber, readTable } from './flat-file.ts';

/** Jiffies of USER_HZ in cpuacct.stat. */
const NS_PER_TICK = 10_000_000n;

/** Accounting of v1 controllers, also on hybrid hosts (Documentation/admin-guide/cgroup-v1). */
export class CgroupV1Reader implements CgroupReader {
  readonly #root: string;

  constructor(root = '/sys/fs/cgroup') {
    this.#root = root;
  }

  async sample(path: string): Promise<CgroupSample> {
    const of = (controller: string, file: string): string => join(this.#root, controller, path, file);
    const [total, ticks, throttling, usage, maximum, limit, failures, memory, pids, pidsLimit, bytes, operations] =
      await Promise.all([
        readNumber(of('cpuacct', 'cpuacct.usage')),
        readTable(of('cpuacct', 'cpuacct.stat')),
        readTable(of('cpu', 'cpu.stat')),
        readNumber(of('memory', 'memory.usage_in_bytes')),
        readNumber(of('memory', 'memory.max_usage_in_bytes')),
        readNumber(of('memory', 'memory.limit_in_bytes')),
        readNumber(of('memory', 'memory.failcnt')),
        readTable(of('memory', 'memory.stat')),
        readNumber(of('pids', 'pids.current')),
        readNumber(of('pids', 'pids.max')),
        readLines(of('blkio', 'blkio.throttle.io_service_bytes_recursive')),
        readLines(of('blkio', 'blkio.throttle.io_serviced_recursive')),
      ]);
    return {
      cpu: {
        totalUsage: total,
        userUsage: (ticks.get('user') ?? 0n) * NS_PER_TICK,
        kernelUsage: (ticks.get('system') ?? 0n) * NS_PER_TICK,
        periods: throttling.get('nr_periods') ?? 0n,
        throttledPeriods: throttling.get('nr_throttled') ?? 0n,
        throttledTime: throttling.get('throttled_time') ?? 0n,
      },
      memory: { usage, maxUsage: maximum, limit, failcnt: failures, stats: Object.fromEntries(memory) },
      pidsCurrent: pids,
      pidsLimit: pidsLimit === 2n ** 64n - 1n ? 0n : pidsLimit,
      blkioBytes: bytes.flatMap(entryOf),
      blkioOps: operations.flatMap(entryOf),
    };
  }

  async processes(path: string): Promise<readonly number[]> {
    return (await readLines(join(this.#root, 'pids', path, 'cgroup.procs'))).map(Number);
  }
}

/** `8:0 Read 4096`. */
function entryOf(line: string): runtimeV1.BlkioEntry[] {
  const match = /^(\d+):(\d+) (\w+) (\d+)$/.exec(line);
  if (!match) return [];
  return [
    {
      major: BigInt(match[1] as string),
      minor: BigInt(match[2] as string),
      op: (match[3] as string).toLowerCase(),
      value: BigInt(match[4] as string),
    },
  ];
}

import type { runtimeV1 } from '@atoll/proto';

export interface CgroupSample {
  readonly cpu: Omit<runtimeV1.CpuStats, 'systemUsage' | 'onlineCpus'>;
  readonly memory: runtimeV1.MemoryStats;
  readonly pidsCurrent: bigint;
  /** 0 = none. */
  readonly pidsLimit: bigint;
  readonly blkioBytes: runtimeV1.BlkioEntry[];
  readonly blkioOps: runtimeV1.BlkioEntry[];
}

/** What the kernel accounts to one cgroup. A cgroup that is gone reads as zeros. */
export interface CgroupReader {
  sample(path: string): Promise<CgroupSample>;
  processes(path: string): Promise<readonly number[]>;
}

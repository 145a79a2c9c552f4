import { join } from 'node:path';
import type { runtimeV1 } from '@atoll/proto';
import type { CgroupReader, CgroupSample } from './cgroup-reader.ts';
import { readLines, readNumber, readTable } from './flat-file.ts';

/** Accounting of the unified hierarchy (Documentation/admin-guide/cgroup-v2.rst). */
export class CgroupV2Reader implements CgroupReader {
  readonly #root: string;

  constructor(root = '/sys/fs/cgroup') {
    this.#root = root;
  }

  async sample(path: string): Promise<CgroupSample> {
    const of = (file: string): string => join(this.#root, path, file);
    const [cpu, usage, maximum, limit, events, memory, pids, pidsLimit, io] = await Promise.all([
      readTable(of('cpu.stat')),
      readNumber(of('memory.current')),
      readNumber(of('memory.peak')),
      readNumber(of('memory.max')),
      readTable(of('memory.events')),
      readTable(of('memory.stat')),
      readNumber(of('pids.current')),
      readNumber(of('pids.max')),
      readLines(of('io.stat')),
    ]);
    const ns = (name: string): bigint => (cpu.get(name) ?? 0n) * 1_000n;
    return {
      cpu: {
        totalUsage: ns('usage_usec'),
        userUsage: ns('user_usec'),
        kernelUsage: ns('system_usec'),
        periods: cpu.get('nr_periods') ?? 0n,
        throttledPeriods: cpu.get('nr_throttled') ?? 0n,
        throttledTime: ns('throttled_usec'),
      },
      memory: { usage, maxUsage: maximum, limit, failcnt: events.get('max') ?? 0n, stats: Object.fromEntries(memory) },
      pidsCurrent: pids,
      pidsLimit: pidsLimit === 2n ** 64n - 1n ? 0n : pidsLimit,
      blkioBytes: io.flatMap((line) => entriesOf(line, { rbytes: 'read', wbytes: 'write' })),
      blkioOps: io.flatMap((line) => entriesOf(line, { rios: 'read', wios: 'write' })),
    };
  }

  async processes(path: string): Promise<readonly number[]> {
    return (await readLines(join(this.#root, path, 'cgroup.procs'))).map(Number);
  }
}

/** `8:0 rbytes=4096 wbytes=0 rios=1 wios=0`. */
function entriesOf(line: string, names: Readonly<Record<string, string>>): runtimeV1.BlkioEntry[] {
  const [device = '', ...fields] = line.split(' ');
  const match = /^(\d+):(\d+)$/.exec(device);
  if (!match) return [];
  return fields.flatMap((field) => {
    const [name = '', value = ''] = field.split('=');
    const op = names[name];
    if (op === undefined || !/^\d+$/.test(value)) return [];
    return [{ major: BigInt(match[1] as string), minor: BigInt(match[2] as string), op, value: BigInt(value) }];
  });
}

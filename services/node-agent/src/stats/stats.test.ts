import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CgroupV1Reader } from './cgroup-v1.ts';
import { CgroupV2Reader } from './cgroup-v2.ts';
import { parseNetworkCounters } from './network-counters.ts';
import { parseProcessList } from './process-list.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'atoll-stats-'));
  const files: Readonly<Record<string, string>> = {
    'v1/cpuacct/a/c/cpuacct.usage': '123456789\n',
    'v1/cpuacct/a/c/cpuacct.stat': 'user 3\nsystem 4\n',
    'v1/cpu/a/c/cpu.stat': 'nr_periods 5\nnr_throttled 2\nthrottled_time 99\n',
    'v1/memory/a/c/memory.usage_in_bytes': '4096\n',
    'v1/memory/a/c/memory.limit_in_bytes': '9223372036854771712\n',
    'v1/memory/a/c/memory.stat': 'cache 10\ninactive_file 7\n',
    'v1/pids/a/c/pids.current': '2\n',
    'v1/pids/a/c/pids.max': '4096\n',
    'v1/pids/a/c/cgroup.procs': '11\n12\n',
    'v1/blkio/a/c/blkio.throttle.io_service_bytes_recursive': '8:0 Read 4096\n8:0 Write 0\nTotal 4096\n',
    'v2/a/c/cpu.stat': 'usage_usec 7\nuser_usec 3\nsystem_usec 4\nnr_periods 1\n',
    'v2/a/c/memory.current': '8192\n',
    'v2/a/c/memory.max': 'max\n',
    'v2/a/c/pids.max': 'max\n',
    'v2/a/c/io.stat': '8:16 rbytes=5 wbytes=6 rios=1 wios=2 dbytes=0 dios=0\n',
    'v2/a/c/cgroup.procs': '11\n',
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

describe('cgroups', () => {
  test('v1', async () => {
    const reader = new CgroupV1Reader(join(root, 'v1'));
    expect(await reader.sample('/a/c')).toMatchObject({
      cpu: { totalUsage: 123_456_789n, userUsage: 30_000_000n, kernelUsage: 40_000_000n, throttledPeriods: 2n },
      memory: { usage: 4096n, stats: { cache: 10n, inactive_file: 7n } },
      pidsCurrent: 2n,
      pidsLimit: 4096n,
      blkioBytes: [
        { major: 8n, minor: 0n, op: 'read', value: 4096n },
        { major: 8n, minor: 0n, op: 'write', value: 0n },
      ],
    });
    expect(await reader.processes('/a/c')).toEqual([11, 12]);
  });

  test('v2: `max` is no limit', async () => {
    const reader = new CgroupV2Reader(join(root, 'v2'));
    expect(await reader.sample('/a/c')).toMatchObject({
      cpu: { totalUsage: 7_000n, userUsage: 3_000n, kernelUsage: 4_000n, periods: 1n },
      memory: { usage: 8192n, limit: 2n ** 64n - 1n },
      pidsLimit: 0n,
      blkioBytes: [
        { major: 8n, minor: 16n, op: 'read', value: 5n },
        { major: 8n, minor: 16n, op: 'write', value: 6n },
      ],
    });
  });

  test('one that is gone reads as zeros', async () => {
    const sample = await new CgroupV1Reader(join(root, 'v1')).sample('/gone');
    expect(sample).toMatchObject({ pidsCurrent: 0n, cpu: { totalUsage: 0n }, blkioBytes: [] });
  });
});

describe('links', () => {
  test('counters without loopback', () => {
    const text = [
      'Inter-|   Receive                                                |  Transmit',
      ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop',
      '    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0',
      '  eth0:    1000      10    1    2    0     0          0         0     2000      20    3    4    0     0       0          0',
    ].join('\n');
    expect(parseNetworkCounters(text)).toEqual({
      eth0: {
        rxBytes: 1000n,
        rxPackets: 10n,
        rxErrors: 1n,
        rxDropped: 2n,
        txBytes: 2000n,
        txPackets: 20n,
        txErrors: 3n,
        txDropped: 4n,
      },
    });
  });
});

describe('processes', () => {
  const text = 'UID PID PPID CMD\nroot 1 0 init\nroot 22 1 sh -c a  b\nroot 222 1 other\n';
  test("only the container's, the command whole", () => {
    expect(parseProcessList(text, new Set([22]))).toEqual({
      titles: ['UID', 'PID', 'PPID', 'CMD'],
      rows: [['root', '22', '1', 'sh -c a b']],
    });
  });
  test('without a PID column nothing can be told apart', () => {
    expect(() => parseProcessList('UID CMD\nroot x\n', new Set([1]))).toThrow("Couldn't find PID field");
  });
});

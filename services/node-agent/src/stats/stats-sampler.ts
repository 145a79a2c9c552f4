import { readFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { containerV1, runtimeV1 } from '@atoll/proto';
import type { Container } from '../containers/container.ts';
import { isActive } from '../containers/container-states.ts';
import { nowNs } from '../processes/clock.ts';
import type { CgroupReader } from './cgroup-reader.ts';
import { networkCounters } from './network-counters.ts';

const PERIOD_MS = 1_000;
/** Jiffies of USER_HZ in /proc/stat. */
const NS_PER_TICK = 10_000_000n;

/** Docker's stats of one container: one sample a second, each with the one before it. */
export class StatsSampler {
  readonly #reader: CgroupReader;
  readonly #cgroupPath: (id: string) => string;

  constructor(reader: CgroupReader, cgroupPath: (id: string) => string) {
    this.#reader = reader;
    this.#cgroupPath = cgroupPath;
  }

  /** With `stream` until the signal aborts or the container is gone; a stopped container gives zeros, as with Docker. */
  async *samples(
    container: Container,
    options: { readonly stream: boolean; readonly oneShot: boolean },
    signal: AbortSignal,
  ): AsyncIterable<runtimeV1.StatsResponse> {
    let before: runtimeV1.StatsResponse | undefined;
    if (!options.stream && !options.oneShot && isActive(container.status.state)) {
      before = await this.#sample(container, undefined);
      await pause(signal);
    }
    while (!signal.aborted && container.status.state !== containerV1.ContainerState.REMOVED) {
      const sample = await this.#sample(container, before);
      yield sample;
      if (!options.stream) return;
      before = sample;
      await pause(signal);
    }
  }

  async #sample(container: Container, before: runtimeV1.StatsResponse | undefined): Promise<runtimeV1.StatsResponse> {
    const readNs = nowNs();
    if (!isActive(container.status.state)) return runtimeV1.StatsResponse.fromPartial({ readNs: 0n });
    const [group, networks, systemUsage] = await Promise.all([
      this.#reader.sample(this.#cgroupPath(container.id)),
      networkCounters(container.status.pid),
      hostCpuUsage(),
    ]);
    const total = BigInt(totalmem());
    return {
      readNs,
      prereadNs: before?.readNs ?? 0n,
      cpu: { ...group.cpu, systemUsage, onlineCpus: cpus().length },
      precpu: before?.cpu,
      memory: { ...group.memory, limit: group.memory.limit > total ? total : group.memory.limit },
      pidsCurrent: group.pidsCurrent,
      pidsLimit: group.pidsLimit,
      networks,
      blkioBytes: group.blkioBytes,
      blkioOps: group.blkioOps,
    };
  }
}

async function pause(signal: AbortSignal): Promise<void> {
  await sleep(PERIOD_MS, undefined, { signal }).catch(() => undefined);
}

/** CPU time of all processors since boot, idle included (proc_stat(5)): what a container's share is a share of. */
async function hostCpuUsage(): Promise<bigint> {
  const line = (await readFile('/proc/stat', 'utf8')).split('\n', 1)[0] ?? '';
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(BigInt);
  return ticks.reduce((sum, value) => sum + value, 0n) * NS_PER_TICK;
}

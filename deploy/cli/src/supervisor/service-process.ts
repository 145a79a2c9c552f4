import { join } from 'node:path';
import { serviceEntry } from '../cluster/checkout.ts';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';

/** How a service process is started. */
export interface ServicePlan {
  readonly name: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Holds the process's pid once it is ready. */
  readonly readyFile: string;
}

/**
 * Small young generation and heap limits: these processes hold little and must not grow for comfort. Without
 * `--optimize-for-size`, which spares 15 MiB a process and costs a tenth of the CPU of each start.
 */
const NODE_FLAGS = ['--max-semi-space-size=4', '--max-old-space-size=256', '--disable-warning=ExperimentalWarning'];

/** A Node process of the services folder. */
export function serviceProcess(
  name: string,
  service: string,
  paths: ClusterPaths,
  env: Readonly<Record<string, string>>,
): ServicePlan {
  const readyFile = join(paths.readyDir, name);
  const argv = [process.execPath, ...NODE_FLAGS, serviceEntry(service)];
  return { name, argv, readyFile, env: { ...env, ATOLL_READY_FILE: readyFile } };
}

/** `name=value,…`, as `pairs` of `@atoll/config` reads it. */
export function pairs(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}

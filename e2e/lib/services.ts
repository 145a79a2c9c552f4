import { globSync, readFileSync } from 'node:fs';
import { inject } from 'vitest';
import { until } from './until.ts';

interface ServiceState {
  readonly name: string;
  readonly process?: { readonly pid: number };
  readonly host?: string;
  readonly ready: boolean;
}

interface ClusterState {
  readonly supervisor: { readonly pid: number };
  readonly services: readonly ServiceState[];
  readonly endpoints: { readonly registry: string };
}

const state = (): ClusterState =>
  JSON.parse(readFileSync(`/run/atoll/${inject('clusterName')}/state.json`, 'utf8')) as ClusterState;
const services = (): readonly ServiceState[] => state().services;

/** Where the cluster's registry answers HTTP, `host:port`. */
export const registryAddress = (): string => state().endpoints.registry;

/** Pid of a service of the cluster, by its name or, for agents, its host. */
export function pidOf(name: string): number {
  const service = services().find((candidate) => candidate.name === name || candidate.host === name);
  if (!service?.process)
    throw new Error(
      `${name} does not run; there are ${services()
        .map((s) => s.name)
        .join(', ')}`,
    );
  return service.process.pid;
}

/** kill -9, and back when the supervisor has started it anew and it is ready. */
export async function killAndWait(name: string): Promise<void> {
  const pid = pidOf(name);
  process.kill(pid, 'SIGKILL');
  await until(`${name} to come back`, async () => {
    const service = services().find((candidate) => candidate.name === name || candidate.host === name);
    return service?.ready === true && service.process !== undefined && service.process.pid !== pid;
  });
}

/** kill -9 of the supervisor, the services, the agents, the shims and the containers: what a power cut leaves of processes. */
export function killEverything(): void {
  const { supervisor, services: all } = state();
  process.kill(supervisor.pid, 'SIGKILL');
  const inGroups = globSync(`/sys/fs/cgroup/{pids/,}atoll/${inject('clusterName')}/**/cgroup.procs`).flatMap((file) =>
    readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number),
  );
  for (const pid of [...all.map((service) => service.process?.pid ?? 0), ...inGroups]) {
    try {
      if (pid > 0) process.kill(pid, 'SIGKILL');
    } catch {
      // gone with the one that was killed before it
    }
  }
}

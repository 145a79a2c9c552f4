import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CgroupTree } from '@atoll/hosts';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import type { ServicePlan } from './service-process.ts';
import { baseEnvironment } from './supervised-host.ts';
import type { ServiceDefinition } from './supervised-service.ts';

const READY_MS = 240_000;

/** A service that runs on the machine itself, in a cgroup of its own. */
export async function machineService(paths: ClusterPaths, plan: ServicePlan): Promise<ServiceDefinition> {
  return {
    ...(await machineProcess(paths, plan)),
    isReady: async (pid) => (await readFile(plan.readyFile, 'utf8').catch(() => '')).trim() === String(pid),
  };
}

export async function machineProcess(
  paths: ClusterPaths,
  plan: Pick<ServicePlan, 'name' | 'argv' | 'env' | 'readyFile'>,
): Promise<Omit<ServiceDefinition, 'isReady'>> {
  const group = await CgroupTree.at(paths.serviceCgroup(plan.name));
  await group.create();
  return {
    name: plan.name,
    logFile: join(paths.logDir, `${plan.name}.log`),
    readyTimeoutMs: READY_MS,
    launch: async (log) => {
      await rm(plan.readyFile, { force: true });
      const [program = '', ...args] = plan.argv;
      const env = { ...baseEnvironment(), ...plan.env };
      // A group of its own: Ctrl-C in a terminal is for the supervisor, which stops its services in order.
      const child = spawn(program, args, { stdio: ['ignore', log, log], env, cwd: '/', detached: true });
      if (child.pid) group.add(child.pid);
      return child;
    },
  };
}

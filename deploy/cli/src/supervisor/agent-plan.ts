import { join } from 'node:path';
import { SHIM } from '../cluster/checkout.ts';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import { pairs, type ServicePlan, serviceProcess } from './service-process.ts';

/** Port of every agent on its own address. */
export const AGENT_PORT = 7474;

export interface AgentPlanOptions {
  readonly hostname: string;
  /** Where the rest of the cluster reaches the host. */
  readonly address: string;
  readonly schedulers: readonly string[];
  readonly registry: string;
  /** The only host, on the machine of the gateway: bind mounts are the person's own paths. */
  readonly local: boolean;
  /** Name -> path of OCI runtimes beside the native one. */
  readonly runtimes: Readonly<Record<string, string>>;
  readonly extra?: Readonly<Record<string, string>>;
}

/** How the agent of one host is started, in namespaces of its own or on the machine. */
export function agentPlan(paths: ClusterPaths, options: AgentPlanOptions): ServicePlan {
  const data = paths.hostData(options.hostname);
  const listen = `${options.address}:${AGENT_PORT}`;
  return serviceProcess(`agent-${options.hostname}`, 'node-agent', paths, {
    ATOLL_TLS_DIR: join(data, 'tls'),
    ATOLL_DATA_ROOT: data,
    ATOLL_SCHEDULERS: options.schedulers.join(','),
    ATOLL_REGISTRY: options.registry,
    ATOLL_LISTEN: listen,
    ATOLL_ADVERTISE: listen,
    ATOLL_HOST_IP: options.address,
    ATOLL_HOSTNAME: options.hostname,
    ATOLL_CGROUP_PARENT: paths.hostCgroup(options.hostname),
    ATOLL_SHIM: SHIM,
    ATOLL_LOCAL: String(options.local),
    ATOLL_RUNTIMES: pairs(options.runtimes),
    ...options.extra,
  });
}

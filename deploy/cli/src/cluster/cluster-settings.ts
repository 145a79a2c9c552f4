import { readFile } from 'node:fs/promises';
import type { ClusterPaths } from './cluster-paths.ts';

export type SchedulerStrategy = 'spread' | 'binpack';
export type SocketMounts = 'allow' | 'refuse';

/** What a cluster of this machine is made of; kept in its data root, so that the next `up` brings the same one. */
/** Whether containers get SELinux labels where a host can give them. */
export type SELinuxUse = 'auto' | 'off';

export interface ClusterSettings {
  readonly clusterId: string;
  readonly hosts: number;
  /** `host:port` of a TCP Docker API beside the socket. */
  readonly tcp?: string;
  /** Registry name -> base URL of its mirror. */
  readonly registryMirrors: Readonly<Record<string, string>>;
  readonly strategy: SchedulerStrategy;
  /** Name -> path of the OCI runtimes that hosts have beside the native one. */
  readonly runtimes?: Readonly<Record<string, string>>;
  /** Ids of the user namespaces that containers of all hosts get, as `ATOLL_USERNS_REMAP`; none: absent or empty. */
  readonly usernsRemap?: string;
  /** As `ATOLL_SELINUX` of all hosts; absent: auto. */
  readonly selinux?: SELinuxUse;
  /** Whether containers may mount the Docker socket; absent: they may. */
  readonly socketMounts?: SocketMounts;
  /** Address other machines reach the control plane at (`atoll init`). */
  readonly advertise?: string;
  /** Block of the hosts' addresses. */
  readonly block: string;
  /** Port of each service, kept over restarts so that machines that joined find the control plane again. */
  readonly ports: Readonly<Record<string, number>>;
}

export async function loadSettings(paths: ClusterPaths): Promise<ClusterSettings | undefined> {
  const text = await readFile(paths.settingsFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : (JSON.parse(text) as ClusterSettings);
}

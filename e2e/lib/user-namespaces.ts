import { busyboxRootfs } from './base-image.ts';
import { type Cluster, startCluster, stopCluster } from './cluster.ts';
import { docker, useDockerHost } from './docker.ts';

/** Tests of isolation run on hosts of both kinds. */
export const USER_NAMESPACE_MODES = ['without', 'with'] as const;

export type UserNamespaceMode = (typeof USER_NAMESPACE_MODES)[number];

/** Ids that nobody else on a machine of tests has. */
export const REMAP = '1000000:65536';

/** A cluster of two hosts whose containers are in user namespaces, with busybox, for the calls of this file. */
export async function remappingCluster(): Promise<Cluster> {
  const cluster = await startCluster(2, ['--userns-remap', REMAP]);
  useDockerHost(cluster.dockerHost);
  const imported = await docker(['import', '-', 'busybox:latest'], { input: busyboxRootfs() });
  if (imported.code !== 0) throw new Error(`docker import: ${imported.stderr}`);
  return cluster;
}

export async function stopRemappingCluster(cluster: Cluster | undefined): Promise<void> {
  useDockerHost(undefined);
  if (cluster) await stopCluster(cluster);
}

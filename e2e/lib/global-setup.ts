import type { TestProject } from 'vitest/node';
import { busyboxRootfs } from './base-image.ts';
import { leftovers, startCluster, stopCluster } from './cluster.ts';
import { run } from './run.ts';
import { runcPath } from './runc.ts';
import { startUpstreamRegistry } from './upstream-registry.ts';

declare module 'vitest' {
  interface ProvidedContext {
    dockerHost: string;
    clusterName: string;
    dataRoot: string;
    /** Another registry, `host:port`; the cluster's mirror for docker.io. */
    upstream: string;
    /** Host names of the three nodes. */
    hosts: readonly string[];
  }
}

/** One three-host cluster for the whole run, and after it a look for anything it left. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const upstream = await startUpstreamRegistry();
  const options = ['--registry-mirror', `docker.io=http://${upstream.address}`, '--runtime', `runc=${runcPath()}`];
  const cluster = await startCluster(3, options).catch(async (error) => {
    await upstream.stop();
    throw error;
  });
  const env = { DOCKER_HOST: cluster.dockerHost };
  try {
    const imported = await run('docker', ['import', '-', 'busybox:latest'], { env, input: busyboxRootfs() });
    if (imported.code !== 0) throw new Error(`docker import: ${imported.stderr}`);
    const hosts = await hostNames(env);
    project.provide('dockerHost', cluster.dockerHost);
    project.provide('clusterName', cluster.name);
    project.provide('dataRoot', cluster.dataRoot);
    project.provide('hosts', hosts);
    project.provide('upstream', upstream.address);
  } catch (error) {
    await stopCluster(cluster);
    await upstream.stop();
    throw error;
  }
  return async () => {
    await stopCluster(cluster);
    await upstream.stop();
    const left = await leftovers(cluster);
    if (left.length > 0) throw new Error(`left behind:\n${left.join('\n')}`);
  };
}

/** Spread puts three containers on three hosts, and inspect says where each is. */
async function hostNames(env: Record<string, string>): Promise<string[]> {
  const created = await Promise.all([1, 2, 3].map(() => run('docker', ['create', 'busybox', 'true'], { env })));
  const ids = created.map((result) => result.stdout.trim());
  const inspected = await run('docker', ['inspect', '-f', '{{.Node.Name}}', ...ids], { env });
  const removed = await run('docker', ['rm', ...ids], { env });
  const names = [...new Set(inspected.stdout.trim().split('\n'))].sort();
  if (names.length !== 3 || removed.code !== 0) {
    throw new Error(
      `no three hosts: ${names.join(' ')} ${created.map((r) => r.stderr).join('')}${inspected.stderr}${removed.stderr}`,
    );
  }
  return names;
}

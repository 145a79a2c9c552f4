import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CpuGroup } from './cpu-group.ts';
import type { Engine } from './engine.ts';

const ROOT = join(import.meta.dirname, '../..');

export interface AtollEngine extends Engine {
  readonly cluster: string;
  readonly dataRoot: string;
}

/** A cluster of this checkout, brought up with the `atoll` command. */
export function startAtoll(hosts: number): AtollEngine {
  const cluster = `bench${randomBytes(3).toString('hex')}`;
  const dataRoot = mkdtempSync(join(tmpdir(), 'atoll-bench-'));
  const command = (name: string, ...args: string[]): void => {
    execFileSync(join(ROOT, 'atoll'), [name, '--name', cluster, '--data-root', dataRoot, ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  };
  // The services stay in the group their supervisor was started in; agents and containers have the cluster's own.
  const services = new CpuGroup(`atoll-bench-services-${process.pid}`);
  const own = ownGroup();
  services.add(process.pid);
  command('up', '--hosts', String(hosts), '--detach');
  own.add(process.pid);
  const clusterUsage = join('/sys/fs/cgroup/cpuacct/atoll', cluster, 'cpuacct.usage');
  return {
    name: 'atoll',
    cluster,
    dataRoot,
    dockerHost: `unix:///run/atoll/${cluster}/docker.sock`,
    cpu: () => services.usage() + (existsSync(clusterUsage) ? Number(readFileSync(clusterUsage, 'utf8')) : 0),
    stop: async () => {
      command('down', '--purge');
      services.remove();
      rmSync(dataRoot, { recursive: true, force: true });
    },
  };
}

function ownGroup(): { add(pid: number): void } {
  const line = readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .find((text) => text.split(':')[1] === 'cpuacct');
  const path = line?.split(':')[2] ?? '/';
  return new CpuGroup(path.slice(1));
}

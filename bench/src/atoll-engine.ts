import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine } from './engine.ts';

const ROOT = join(import.meta.dirname, '../..');

export interface AtollEngine extends Engine {
  readonly dataRoot: string;
  readonly runDir: string;
}

/** A cluster of this checkout, brought up with the `atoll` command. */
export function startAtoll(hosts: number, env: Readonly<Record<string, string>> = {}): AtollEngine {
  const cluster = `bench${randomBytes(3).toString('hex')}`;
  const runDir = `/run/atoll/${cluster}`;
  const dataRoot = mkdtempSync(join(tmpdir(), 'atoll-bench-'));
  const command = (name: string, ...args: string[]): void => {
    execFileSync(join(ROOT, 'atoll'), [name, '--name', cluster, '--data-root', dataRoot, ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, ...env },
    });
  };
  command('up', '--hosts', String(hosts), '--detach');
  return {
    name: 'atoll',
    dataRoot,
    runDir,
    dockerHost: `unix://${runDir}/docker.sock`,
    // Supervisor, services, agents, shims and containers all live below the cluster's group.
    cpu: () => Number(readFileSync(`/sys/fs/cgroup/cpuacct/atoll/${cluster}/cpuacct.usage`, 'utf8')),
    stop: async () => command('down', '--purge'),
  };
}

import { readFile } from 'node:fs/promises';
import { isAlive } from '@atoll/hosts';
import type { Command } from 'commander';
import type { ClusterState, ServiceState } from '../cluster/cluster-state.ts';
import { type ClusterFlags, pathsOf, requireRunning, withCluster } from './command-context.ts';
import { table } from './table.ts';

interface StatusFlags extends ClusterFlags {
  readonly format: string;
}

export function addStatus(program: Command): void {
  withCluster(program.command('status'))
    .description('show the processes and hosts of the cluster of this machine')
    .option('--format <table|json>', 'json: one object for each process', 'table')
    .action(async (flags: StatusFlags) => {
      const state = await requireRunning(pathsOf(flags));
      const rows = await Promise.all(state.services.map((service) => describe(service, state)));
      if (flags.format === 'json') {
        process.stdout.write(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
        return;
      }
      process.stdout.write(
        table(
          ['PROCESS', 'STATE', 'PID', 'MEMORY', 'RESTARTS', 'ADDRESS'],
          rows.map((row) => [
            row.process,
            row.state,
            String(row.pid || '-'),
            row.memory,
            String(row.restarts),
            row.address,
          ]),
        ),
      );
      process.stderr.write(`\n${flags.name}: ${state.phase}; state: ${state.durability}; data: ${state.dataRoot}\n`);
      process.stderr.write(`export DOCKER_HOST=${state.endpoints['docker']}\n`);
      if (rows.some((row) => row.state !== 'ready')) process.exitCode = 1;
    });
}

async function describe(service: ServiceState, state: ClusterState) {
  const alive = service.process !== undefined && (await isAlive(service.process));
  const pid = alive ? (service.process?.pid ?? 0) : 0;
  const host = state.hosts.find((known) => known.name === service.host);
  const name = service.name === 'gateway' ? 'docker' : service.name;
  return {
    process: service.name,
    state: alive ? (service.ready ? (host?.cut ? 'cut off' : 'ready') : 'starting') : 'down',
    pid,
    memory: pid ? await residentMemory(pid) : '-',
    restarts: service.restarts,
    address: host?.address ?? state.endpoints[name] ?? '',
  };
}

/** Proportional share of resident memory (smaps_rollup, proc(5)): pages that processes share count once. */
async function residentMemory(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  const kilobytes = Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? Number.NaN);
  return Number.isNaN(kilobytes) ? '?' : `${(kilobytes / 1024).toFixed(0)} MiB`;
}

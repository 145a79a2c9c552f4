import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { failedPrecondition } from '@atoll/errors';
import type { Command } from 'commander';
import { loadSettings } from '../cluster/cluster-settings.ts';
import { stopCluster } from '../cluster/stop-cluster.ts';
import { ProgressView } from '../progress/progress-view.ts';
import { type ClusterFlags, pathsOf, requireRoot, wholeNumber, withCluster } from './command-context.ts';

interface DownFlags extends ClusterFlags {
  readonly time: number;
  readonly purge?: boolean;
  readonly yes?: boolean;
}

export function addDown(program: Command): void {
  withCluster(program.command('down'))
    .description('end the cluster of this machine; its data stays')
    .option('-t, --time <seconds>', 'what containers get to end by themselves', wholeNumber, 10)
    .option('--purge', 'also delete its data: images, volumes, state')
    .option('-y, --yes', 'do not ask before --purge')
    .action(async (flags: DownFlags) => {
      requireRoot('ending a cluster');
      const paths = pathsOf(flags);
      if (flags.purge && !flags.yes) await confirm(`delete everything below ${paths.dataRoot}?`);
      const view = new ProgressView();
      const found = await stopCluster(paths, { containerGraceMs: flags.time * 1000 }, (steps) => view.show(steps));
      view.close();
      if (!found) process.stderr.write(`no cluster ${paths.name} runs on this machine\n`);
      // The settings file tells a data root of ours from any other folder somebody might have named.
      if (flags.purge && (await loadSettings(paths))) {
        await rm(paths.dataRoot, { recursive: true, force: true });
        process.stderr.write(`deleted ${paths.dataRoot}\n`);
      }
    });
}

async function confirm(question: string): Promise<void> {
  // Scripts are not asked: they said --purge.
  if (!process.stdin.isTTY) return;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`${question} [y/N] `);
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw failedPrecondition('nothing was deleted');
}

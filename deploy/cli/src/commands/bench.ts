import { join } from 'node:path';
import type { Command } from 'commander';
import { CHECKOUT } from '../cluster/checkout.ts';
import { runVisibly } from '../testing/run-part.ts';

export function addBench(program: Command): void {
  program
    .command('bench')
    .description('speed side by side with dockerd: see bench/README.md')
    .argument('[parts...]', 'start, parallel, list, streams, unpack, memory, placement; all when none is named')
    .option('--rounds <n>', 'samples of each side', '15')
    .action(async (parts: readonly string[], { rounds }: { readonly rounds: string }) => {
      const main = join(CHECKOUT, 'bench/src/main.ts');
      const flags = ['--disable-warning=ExperimentalWarning', '--conditions=source'];
      process.exitCode = await runVisibly(process.execPath, [...flags, main, '--rounds', rounds, ...parts]);
    });
}

import { failedPrecondition } from '@atoll/errors';
import type { Command } from 'commander';
import type { Check } from '../doctor/check.ts';
import { kernelChecks } from '../doctor/kernel-checks.ts';
import { placeChecks } from '../doctor/place-checks.ts';
import { programChecks } from '../doctor/program-checks.ts';
import { terminalStyle } from '../progress/terminal-style.ts';
import { type ClusterFlags, pathsOf, withCluster } from './command-context.ts';

export function addDoctor(program: Command): void {
  withCluster(program.command('doctor'))
    .description('check what this machine has and lacks: one line each, with the fix')
    .action(async (flags: ClusterFlags) => {
      const checks = [...(await placeChecks(pathsOf(flags))), ...(await kernelChecks()), ...(await programChecks())];
      process.stdout.write(checks.map((check) => `${line(check)}\n`).join(''));
      const missing = checks.filter((check) => check.level === 'missing').length;
      if (missing > 0) throw failedPrecondition(`${missing} thing${missing === 1 ? '' : 's'} missing, see above`);
    });
}

function line(check: Check): string {
  const { green, red, bold } = terminalStyle(process.stdout);
  const sign = { ok: green('✔'), advice: bold('!'), missing: red('✘') }[check.level];
  const fix = check.fix === undefined ? '' : ` → ${check.fix}`;
  return `${sign} ${check.what.padEnd(16)} ${check.found}${fix}`;
}

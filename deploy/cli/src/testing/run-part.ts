import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CHECKOUT } from '../cluster/checkout.ts';
import { countReport, type TestCounts } from './test-counts.ts';

/** Runs a program of the checkout in sight of the person; its exit code. */
export async function runVisibly(program: string, args: readonly string[]): Promise<number> {
  const child = spawn(program, args, {
    cwd: CHECKOUT,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: testEnvironment(),
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return code ?? 1;
}

/** One vitest run; its report is read from a file that is removed afterwards. */
export async function runVitest(report: string, args: readonly string[]): Promise<TestCounts> {
  const vitest = join(CHECKOUT, 'node_modules/vitest/vitest.mjs');
  await rm(report, { force: true });
  const code = await runVisibly(process.execPath, [
    vitest, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...args,
  ]); // biome-ignore format: one line
  const text = await readFile(report, 'utf8').catch(() => undefined);
  await rm(report, { force: true });
  return countReport(text, code);
}

/** Clients that the launcher unpacked come first; administrators' programs may be off the PATH. */
function testEnvironment(): NodeJS.ProcessEnv {
  const path = [process.env['PATH'], join(CHECKOUT, '.tools/docker/usr/bin'), '/usr/sbin', '/sbin'];
  return { ...process.env, PATH: path.filter(Boolean).join(':') };
}

import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { invalidArgument } from '@atoll/errors';
import type { Command } from 'commander';
import { terminalStyle } from '../progress/terminal-style.ts';
import { foreignMarks } from '../testing/foreign-clusters.ts';
import { kernelObjects } from '../testing/kernel-objects.ts';
import { runVisibly, runVitest } from '../testing/run-part.ts';
import { addCounts, failure, NO_COUNTS, type TestCounts, withSecondRun } from '../testing/test-counts.ts';

interface TestFlags {
  readonly only?: string;
}

const PARTS = ['lint', 'types', 'unit', 'e2e'] as const;
/** So many failures may be put down to a busy machine. */
const UNSTEADY = 3;
/** Kernel objects go some time after the last process that held them. */
const SETTLE_MS = 5000;

export function addTest(program: Command): void {
  program
    .command('test')
    .description(
      'all checks: lint, types, unit tests, end-to-end tests on three hosts, and that nothing is left behind',
    )
    .argument('[filters...]', 'run only test files whose path contains one of these')
    .option('--only <parts>', `comma-separated parts: ${PARTS.join(', ')}`)
    .action(async (filters: readonly string[], flags: TestFlags) => {
      const wanted = flags.only?.split(',') ?? PARTS;
      const unknown = wanted.filter((part) => !PARTS.some((known) => known === part));
      if (unknown.length > 0) throw invalidArgument(`no part ${unknown.join(', ')}: there are ${PARTS.join(', ')}`);
      const before = new Set(await kernelObjects());
      const counts: TestCounts[] = [];
      for (const part of PARTS) if (wanted.includes(part)) counts.push(await runPart(part, filters));
      counts.push(await checkLeaks(before));
      const { passed, failed, failures, unsteady } = addCounts(counts);
      for (const one of unsteady) process.stdout.write(`unsteady, passed by itself: ${one}\n`);
      for (const one of failures) process.stdout.write(`failed: ${one}\n`);
      process.stdout.write(`${passed} passed, ${failed} failed\n`);
      process.exitCode = failed === 0 ? 0 : 1;
    });
}

async function runPart(part: (typeof PARTS)[number], filters: readonly string[]): Promise<TestCounts> {
  process.stdout.write(`\n${terminalStyle(process.stdout).bold(part)}\n`);
  const report = join(tmpdir(), `atoll-test-${randomBytes(6).toString('hex')}.json`);
  // A filter picks files of one part; the other part having none of them is no failure.
  const some = filters.length > 0 ? ['--passWithNoTests'] : [];
  switch (part) {
    case 'lint':
      return check('lint', await runVisibly('npm', ['run', '--silent', 'lint']));
    case 'types':
      return check('types', await runVisibly('npm', ['run', '--silent', 'typecheck']));
    case 'unit':
      return runTests(report, some, filters);
    case 'e2e':
      return runTests(report, ['--config', 'e2e/vitest.config.ts', ...some], filters);
  }
}

/**
 * One that failed beside the others runs again by itself: what fails again is broken, what passes is told as unsteady. Of more than a
 * few, none is put down to chance.
 */
async function runTests(report: string, options: readonly string[], filters: readonly string[]): Promise<TestCounts> {
  const first = await runVitest(report, [...options, ...filters]);
  const { files, failures } = first;
  if (files.length === 0 || failures.length > UNSTEADY) return first;
  process.stdout.write(`\nagain, by themselves: ${files.join(' ')}\n`);
  return withSecondRun(first, await runVitest(report, [...options, ...files]));
}

/** A check is no test: it is counted only when it fails. */
function check(name: string, code: number): TestCounts {
  process.stdout.write(`${name}: ${code === 0 ? 'clean' : `failed with code ${code}`}\n`);
  return code === 0 ? NO_COUNTS : failure(name);
}

async function checkLeaks(before: ReadonlySet<string>): Promise<TestCounts> {
  const end = performance.now() + SETTLE_MS;
  const left = async () => {
    const foreign = await foreignMarks();
    const objects = (await kernelObjects()).filter((object) => !before.has(object));
    return objects.filter((object) => !foreign.some((mark) => object.includes(mark)));
  };
  let found = await left();
  while (found.length > 0 && performance.now() < end) {
    await sleep(200);
    found = await left();
  }
  for (const object of found) process.stdout.write(`left behind: ${object}\n`);
  return check('leaks', found.length === 0 ? 0 : 1);
}

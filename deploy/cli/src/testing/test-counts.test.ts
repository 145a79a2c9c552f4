import { describe, expect, test } from 'vitest';
import { addCounts, countReport, failure, NO_COUNTS, withSecondRun } from './test-counts.ts';

const file = (name: string, status: string, ...tests: string[]) => ({
  name,
  status,
  message: status === 'failed' && !tests.includes('failed') ? 'Error: broken\n  at x' : '',
  assertionResults: tests.map((of) => ({
    status: of,
    fullName: ` it ${of}`,
    failureMessages: of === 'failed' ? ['Error: 1 is not 2\n    at y'] : [],
  })),
});

describe('totals of a report', () => {
  test.each([
    ['all passed', [file('a', 'passed', 'passed')], 0, 3, [], []],
    ['a failed test', [file('a', 'failed', 'passed', 'failed')], 1, 3, ['a > it failed: Error: 1 is not 2'], ['a']],
    ['a file that cannot be loaded', [file('b', 'failed')], 1, 3, ['b: Error: broken'], ['b']],
    ['a hook that threw', [file('b', 'failed', 'skipped')], 1, 3, ['b: Error: broken'], ['b']],
    ['a bad end with nothing named', [], 7, 3, ['the run ended with code 7'], []],
  ])('%s', (_name, testResults, exitCode, passed, failures, files) => {
    const counts = countReport(JSON.stringify({ numPassedTests: 3, testResults }), exitCode);
    expect(counts).toMatchObject({ passed, failed: failures.length, failures, files });
  });

  test.each([undefined, '', '{'])('no report (%j) is a failure', (text) => {
    expect(countReport(text, 0)).toEqual(failure('the run left no report'));
  });

  test.each([
    ['passes by itself', [file('a', 'passed', 'passed', 'passed')], 6, ['a > it failed: Error: 1 is not 2'], []],
    ['fails again', [file('a', 'failed', 'passed', 'failed')], 5, [], ['a > it failed: Error: 1 is not 2']],
  ])('of a file that %s', (_name, again, passed, unsteady, failures) => {
    const report = (numPassedTests: number, testResults: object[]) => JSON.stringify({ numPassedTests, testResults });
    const first = countReport(report(5, [file('a', 'failed', 'passed', 'failed'), file('b', 'passed', 'passed')]), 1);
    const second = countReport(report(again[0]?.status === 'passed' ? 2 : 1, again), 0);
    expect(withSecondRun(first, second)).toMatchObject({ passed, failed: failures.length, unsteady, failures });
  });

  test('parts add up', () => {
    const second = { ...failure('y'), passed: 1, unsteady: ['u'], files: ['z'], passedInFiles: 4 };
    expect(addCounts([{ ...NO_COUNTS, passed: 3 }, failure('x'), second])).toEqual({
      passed: 4,
      failed: 2,
      failures: ['x', 'y'],
      unsteady: ['u'],
      files: ['z'],
      passedInFiles: 4,
    });
  });
});

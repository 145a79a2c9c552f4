import { describe, expect, test } from 'vitest';
import { addCounts, countReport } from './test-counts.ts';

const file = (status: string, ...tests: string[]) => ({
  status,
  assertionResults: tests.map((of) => ({ status: of })),
});

describe('totals of a report', () => {
  test.each([
    ['all passed', { numPassedTests: 3, numFailedTests: 0, testResults: [file('passed', 'passed')] }, 0, 3, 0],
    [
      'a failed test',
      { numPassedTests: 1, numFailedTests: 1, testResults: [file('failed', 'passed', 'failed')] },
      1,
      1,
      1,
    ],
    ['a file that cannot be loaded', { numPassedTests: 2, numFailedTests: 0, testResults: [file('failed')] }, 1, 2, 1],
    ['a hook that threw', { numPassedTests: 0, numFailedTests: 0, testResults: [file('failed', 'skipped')] }, 1, 0, 1],
    ['a bad end with nothing named', { numPassedTests: 5, numFailedTests: 0, testResults: [] }, 1, 5, 1],
  ])('%s', (_name, report, exitCode, passed, failed) => {
    expect(countReport(JSON.stringify(report), exitCode)).toEqual({ passed, failed });
  });

  test.each([undefined, '', '{'])('no report (%j) is a failure', (text) => {
    expect(countReport(text, 0)).toEqual({ passed: 0, failed: 1 });
  });

  test('parts add up', () => {
    expect(
      addCounts([
        { passed: 1, failed: 2 },
        { passed: 3, failed: 0 },
      ]),
    ).toEqual({ passed: 4, failed: 2 });
  });
});

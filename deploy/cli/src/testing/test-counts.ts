/** What a part of the test run came to. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
}

interface Report {
  readonly numPassedTests?: number;
  readonly numFailedTests?: number;
  readonly testResults?: readonly {
    readonly status?: string;
    readonly assertionResults?: readonly { readonly status?: string }[];
  }[];
}

/**
 * Totals of a vitest JSON report. A file that failed without a failed test (it could not be loaded, a hook threw) counts as one
 * failure, and so does a run that ended badly although its report names none.
 */
export function countReport(text: string | undefined, exitCode: number): TestCounts {
  const report = parse(text);
  if (!report) return { passed: 0, failed: 1 };
  const broken = (report.testResults ?? []).filter(
    (file) => file.status === 'failed' && !(file.assertionResults ?? []).some((test) => test.status === 'failed'),
  ).length;
  const passed = report.numPassedTests ?? 0;
  const failed = (report.numFailedTests ?? 0) + broken;
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed };
}

export function addCounts(all: readonly TestCounts[]): TestCounts {
  return all.reduce((sum, one) => ({ passed: sum.passed + one.passed, failed: sum.failed + one.failed }), {
    passed: 0,
    failed: 0,
  });
}

function parse(text: string | undefined): Report | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as Report);
  } catch {
    return undefined;
  }
}

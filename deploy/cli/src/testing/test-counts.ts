/** What a part of the test run came to. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  /** One for each that failed, as `file > test: message`, for the end of a long output. */
  readonly failures: readonly string[];
  /** Those that failed beside others and passed by themselves. */
  readonly unsteady: readonly string[];
  /** Files with failures, as the report names them, and how many of their tests passed. */
  readonly files: readonly string[];
  readonly passedInFiles: number;
}

interface FileResult {
  readonly name?: string;
  readonly status?: string;
  readonly message?: string;
  readonly assertionResults?: readonly {
    readonly status?: string;
    readonly fullName?: string;
    readonly failureMessages?: readonly string[];
  }[];
}

interface Report {
  readonly numPassedTests?: number;
  readonly numFailedTests?: number;
  readonly testResults?: readonly FileResult[];
}

export const NO_COUNTS: TestCounts = { passed: 0, failed: 0, failures: [], unsteady: [], files: [], passedInFiles: 0 };

/**
 * Totals of a vitest JSON report. A file that failed without a failed test (it could not be loaded, a hook threw) counts as one
 * failure, and so does a run that ended badly although its report names none.
 */
export function countReport(text: string | undefined, exitCode: number): TestCounts {
  const report = parse(text);
  if (!report) return failure('the run left no report');
  const bad = (report.testResults ?? []).filter((file) => file.status === 'failed');
  const failures = bad.flatMap(failuresOf);
  const passed = report.numPassedTests ?? 0;
  if (failures.length === 0 && exitCode !== 0) return { ...failure(`the run ended with code ${exitCode}`), passed };
  const tests = bad.flatMap((file) => file.assertionResults ?? []);
  return {
    ...NO_COUNTS,
    passed,
    failed: failures.length,
    failures,
    files: bad.map((file) => file.name ?? ''),
    passedInFiles: tests.filter((test) => test.status === 'passed').length,
  };
}

/** A check that failed as a whole. */
export function failure(what: string): TestCounts {
  return { ...NO_COUNTS, failed: 1, failures: [what] };
}

/** What a run and a second one, of the files with failures alone, came to together. */
export function withSecondRun(first: TestCounts, second: TestCounts): TestCounts {
  const passed = first.passed - first.passedInFiles + second.passed;
  return {
    ...second,
    passed,
    unsteady: first.failures.filter((one) => !second.failures.some((two) => same(one, two))),
  };
}

export function addCounts(all: readonly TestCounts[]): TestCounts {
  return all.reduce(
    (sum, one) => ({
      passed: sum.passed + one.passed,
      failed: sum.failed + one.failed,
      failures: [...sum.failures, ...one.failures],
      unsteady: [...sum.unsteady, ...one.unsteady],
      files: [...sum.files, ...one.files],
      passedInFiles: sum.passedInFiles + one.passedInFiles,
    }),
    NO_COUNTS,
  );
}

function failuresOf(file: FileResult): string[] {
  const tests = (file.assertionResults ?? []).filter((test) => test.status === 'failed');
  if (tests.length === 0) return [`${file.name}: ${firstLine(file.message)}`];
  return tests.map((test) => `${file.name} > ${test.fullName?.trim()}: ${firstLine(test.failureMessages?.[0])}`);
}

/** The same test, whatever its messages. */
function same(one: string, two: string): boolean {
  return one.split(': ', 1)[0] === two.split(': ', 1)[0];
}

function firstLine(message: string | undefined): string {
  return (message ?? '').trim().split('\n', 1)[0] || 'no message';
}

function parse(text: string | undefined): Report | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as Report);
  } catch {
    return undefined;
  }
}

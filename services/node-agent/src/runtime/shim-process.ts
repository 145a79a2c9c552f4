import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type AtollError, internal } from '@atoll/errors';
import { readText, spawnShim, whenClosed } from './shim-child.ts';
import { parseFailureLine, shimError } from './shim-failure.ts';

export interface RunShimOptions {
  readonly input?: Readable | undefined;
  /** Bytes of answer accepted; 64 KiB when absent. */
  readonly maxOutput?: number | undefined;
}

/**
 * Runs a sub-command to its end and gives what it printed. A failing step, reported as a JSON line on
 * standard error, becomes an error. Aborting kills the helper.
 */
export async function runShim(
  shim: string,
  args: readonly string[],
  signal: AbortSignal,
  options: RunShimOptions = {},
): Promise<string> {
  signal.throwIfAborted();
  const child = spawnShim(shim, args, [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe']);
  const kill = (): boolean => child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  try {
    // The input may end early because the helper has failed: its own report says why, and comes first.
    const feeding =
      options.input === undefined || child.stdin === null
        ? Promise.resolve(undefined)
        : pipeline(options.input, child.stdin).then(
            () => undefined,
            (error: unknown) => ({ error }),
          );
    const [end, output, report, feed] = await Promise.all([
      whenClosed(child),
      readText(child.stdout, options.maxOutput),
      readText(child.stderr),
      feeding,
    ]);
    signal.throwIfAborted();
    if (end.code !== 0) throw failureOf(args[0] ?? '', end.code ?? end.signal, report);
    if (feed !== undefined) throw feed.error;
    return output;
  } catch (error) {
    kill();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', kill);
  }
}

/** What a helper that ended badly has said about it. */
export function failureOf(command: string, end: number | string | null, report: string): AtollError {
  const failure = parseFailureLine(report.trim());
  if (failure !== undefined) return shimError(failure, `atoll-shim ${command}`);
  return internal(`atoll-shim ${command} ended with ${end} and no report`);
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { internal } from '@atoll/errors';
import { parseFailureLine, shimError } from './shim-failure.ts';

const MAX_REPORT_BYTES = 64 * 1024;

/** The helper runs with an empty environment: nothing of ours or of an image's may steer it. */
export function spawnShim(
  shim: string,
  args: readonly string[],
  stdio: 'report' | 'streams',
  detached = false,
): ChildProcess {
  return spawn(shim, args, {
    env: {},
    detached,
    stdio: stdio === 'report' ? ['ignore', 'pipe', 'ignore'] : ['pipe', 'pipe', 'pipe'],
  });
}

/**
 * Runs a sub-command to its end and gives what it printed (at most 64 KiB).
 * A failing step, reported as a JSON line, becomes an error.
 */
export async function runShim(shim: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  const child = spawnShim(shim, args, 'report');
  const text = await readReport(child, signal);
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  const failure = parseFailureLine(text);
  if (failure !== undefined) throw shimError(failure, `atoll-shim ${args[0]}`);
  if (child.exitCode !== 0) {
    throw internal(`atoll-shim ${args[0]} ended with ${child.signalCode ?? `code ${child.exitCode}`} and no report`);
  }
  return text;
}

/** All of the child's standard output; kills the child when the wait is aborted or the text too long. */
export async function readReport(child: ChildProcess, signal: AbortSignal): Promise<string> {
  const spawned = new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => reject(internal(`cannot run the shim: ${cause.message}`, { cause })));
  });
  const kill = (): boolean => child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  try {
    await spawned;
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of child.stdout ?? []) {
      size += (chunk as Buffer).length;
      if (size > MAX_REPORT_BYTES) {
        kill();
        throw internal('the shim printed more than 64 KiB');
      }
      chunks.push(chunk as Buffer);
    }
    signal.throwIfAborted();
    return Buffer.concat(chunks).toString('utf8');
  } finally {
    signal.removeEventListener('abort', kill);
  }
}

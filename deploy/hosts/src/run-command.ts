import { type ChildProcess, spawn } from 'node:child_process';
import { deadlineExceeded, failedPrecondition, internal } from '@atoll/errors';

export interface CommandOptions {
  /** Written to the command's stdin; none when not given. */
  readonly input?: string;
  /** The command is killed after so many milliseconds; default 20 s. */
  readonly timeoutMs?: number;
}

const OUTPUT_LIMIT = 1 << 20;

/**
 * Runs a program without a shell and gives its stdout.
 * Errors: failed-precondition when it is not installed, deadline-exceeded when it hangs, internal (with its stderr) when it fails.
 */
export async function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const child = spawn(program, args, {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' },
  });
  const limit = options.timeoutMs ?? 20_000;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, limit);
  try {
    // A command that ends before it has read everything closes the pipe; its exit code tells more than the EPIPE.
    child.stdin?.on('error', () => undefined).end(options.input);
    const [stdout, stderr, code] = await Promise.all([collect(child.stdout), collect(child.stderr), ended(child)]);
    if (late) throw deadlineExceeded(`${program} ${args.join(' ')} did not end within ${limit} ms`);
    if (code !== 0) throw internal(`${program} ${args.join(' ')} failed (${code}): ${stderr.trim() || stdout.trim()}`);
    return stdout;
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) throw cause;
    throw failedPrecondition(`${program} is not installed: run ./atoll doctor`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

function ended(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
}

async function collect(stream: ChildProcess['stdout']): Promise<string> {
  let text = '';
  for await (const chunk of stream ?? []) if (text.length < OUTPUT_LIMIT) text += String(chunk);
  return text;
}

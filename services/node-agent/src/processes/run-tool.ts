import { spawn } from 'node:child_process';
import { deadlineExceeded, failedPrecondition, internal } from '@atoll/errors';

export interface ToolRun {
  /** Written to the tool's standard input. */
  readonly input?: string;
  readonly timeoutMs?: number;
}

const OUTPUT_LIMIT = 8 * 1024 * 1024;
const CLEAN_ENV = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

/**
 * Runs a program of the host (ip, nft, ps) without a shell, with an environment of its own, and gives its standard output.
 * Throws failed-precondition when the program is not installed, internal with its words when it fails.
 */
export function runTool(program: string, args: readonly string[], run: ToolRun = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const timeout = run.timeoutMs ?? 10_000;
    const child = spawn(program, args, { env: CLEAN_ENV, stdio: ['pipe', 'pipe', 'pipe'], cwd: '/' });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let size = 0;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, timeout);
    const collect = (into: Buffer[]) => (piece: Buffer) => {
      size += piece.length;
      if (size <= OUTPUT_LIMIT) into.push(piece);
      else child.kill('SIGKILL');
    };
    child.stdout.on('data', collect(out));
    child.stderr.on('data', collect(err));
    child.on('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const missing = cause.code === 'ENOENT';
      reject(
        missing
          ? failedPrecondition(`the program ${program} is not installed on this host`, { cause })
          : internal(`cannot run ${program}: ${cause.message}`, { cause }),
      );
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      if (late) return reject(deadlineExceeded(`${program} did not end within ${timeout} ms`));
      if (size > OUTPUT_LIMIT) return reject(internal(`${program} wrote more than ${OUTPUT_LIMIT} bytes`));
      if (code === 0) return resolve(Buffer.concat(out).toString());
      const words = Buffer.concat(err).toString().trim();
      reject(internal(`${program} ${args.join(' ')} failed with code ${code}: ${words}`));
    });
    // A tool that ends before it has read its input says why in its exit code.
    child.stdin.on('error', () => undefined);
    child.stdin.end(run.input ?? '');
  });
}

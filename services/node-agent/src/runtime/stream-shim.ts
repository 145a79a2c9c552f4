import { type Readable, Transform } from 'node:stream';
import { readText, spawnShim, whenClosed } from './shim-child.ts';
import { failureOf } from './shim-process.ts';

/**
 * Output of a sub-command as a stream that ends only when the command has succeeded, and otherwise
 * fails with its report. Destroying the stream, or aborting, kills the helper.
 */
export function streamShim(shim: string, args: readonly string[], signal: AbortSignal, input?: Buffer): Readable {
  signal.throwIfAborted();
  const child = spawnShim(shim, args, [input ? 'pipe' : 'ignore', 'pipe', 'pipe']);
  // One that ended early says itself why.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input);
  const end = Promise.all([whenClosed(child), readText(child.stderr)]);
  end.catch(() => {});
  const kill = (): boolean => child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  const output = new Transform({
    transform: (chunk, _encoding, done) => done(null, chunk),
    flush: (done) => {
      end.then(([{ code, signal: by }, report]) => {
        if (signal.aborted) done(signal.reason);
        else done(code === 0 ? null : failureOf(args[0] ?? '', code ?? by, report));
      }, done);
    },
  });
  output.once('close', () => {
    signal.removeEventListener('abort', kill);
    kill();
  });
  child.once('error', (error) => output.destroy(error));
  child.stdout?.once('error', (error) => output.destroy(error));
  return child.stdout?.pipe(output) ?? output;
}

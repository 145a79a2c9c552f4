import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { deadlineExceeded } from '@atoll/errors';
import { unlessMissing } from '../files/missing.ts';
import { startTicksOf } from '../processes/start-ticks.ts';
import { bundlePath } from '../runtime/bundle.ts';

const PATIENCE_MS = 10_000;
const STEP_MS = 5;

/** Kills the shim of a bundle, if one lives: with it dies what it supervises. Nobody else's process of the same number. */
export async function killSupervisor(bundle: string): Promise<void> {
  const text = await unlessMissing(readFile(bundlePath(bundle, 'shim'), 'utf8'));
  const [pid = '', ticks = ''] = text?.trim().split(' ') ?? [];
  const lives = async (): Promise<boolean> => pid !== '' && (await startTicksOf(Number(pid))) === ticks;
  if (!(await lives())) return;
  process.kill(Number(pid), 'SIGKILL');
  const until = performance.now() + PATIENCE_MS;
  while (await lives()) {
    if (performance.now() > until) throw deadlineExceeded(`the supervisor ${pid} of ${bundle} does not end`);
    await sleep(STEP_MS);
  }
}

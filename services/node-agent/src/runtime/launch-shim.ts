import { writeFile } from 'node:fs/promises';
import { internal } from '@atoll/errors';
import { z } from 'zod';
import { bundlePath } from './bundle.ts';
import type { ContainerPlan, ProcessIdentity } from './plan.ts';
import { encodeContainerPlan } from './plan-encoder.ts';
import { readText, spawned, spawnShim } from './shim-child.ts';
import { parseFailureLine, shimError } from './shim-failure.ts';

const REPORT = z.object({
  ok: z.literal(true),
  pid: z.int(),
  startTicks: z.coerce.bigint(),
  initPid: z.int(),
  initStartTicks: z.coerce.bigint(),
  warnings: z.string(),
});

export interface PreparedContainer {
  readonly shim: ProcessIdentity;
  /** The container's first process, waiting for the start. */
  readonly init: ProcessIdentity;
  /** Limits that this host cannot apply, for Docker's "Warnings"; empty when there are none. */
  readonly warnings: string;
}

/**
 * Starts a shim that prepares everything of the plan up to the exec. The bundle folder exists with
 * mode 0700. When this rejects, nothing is left of the attempt. The shim outlives this process.
 */
export async function launchShim(
  shim: string,
  bundle: string,
  plan: ContainerPlan,
  signal: AbortSignal,
): Promise<PreparedContainer> {
  await writeFile(bundlePath(bundle, 'plan'), encodeContainerPlan(plan), { mode: 0o600 });
  const child = spawnShim(shim, ['run', bundle], ['ignore', 'pipe', 'ignore'], true);
  child.unref();
  // The end of the report is its end of file; the shim itself goes on. An abort while it prepares kills
  // both it and, by its death signal, the first process; what is left is for `cleanup`.
  const abort = (): boolean => child.kill('SIGKILL');
  signal.addEventListener('abort', abort, { once: true });
  try {
    const [text] = await Promise.all([readText(child.stdout), spawned(child)]);
    signal.throwIfAborted();
    return parseReport(text);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function parseReport(text: string): PreparedContainer {
  const failure = parseFailureLine(text);
  if (failure !== undefined) throw shimError(failure, 'prepare the container');
  const report = REPORT.safeParse(text === '' ? undefined : JSON.parse(text));
  if (!report.success) throw internal(`the shim ended without a report: ${text.slice(0, 200)}`);
  const { pid, startTicks, initPid, initStartTicks, warnings } = report.data;
  return { shim: { pid, startTicks }, init: { pid: initPid, startTicks: initStartTicks }, warnings };
}

import { readFile } from 'node:fs/promises';
import { CgroupTree, waitUntil } from '@atoll/hosts';

/** A killed process is gone at once, its shim when it has written down how it ended. */
const KILL_MS = 5_000;

/**
 * Ends the containers of a host as a machine that shuts down does: SIGTERM to the first process of each, SIGKILL to those that
 * are left after `graceMs`; then waits for the shims, so that how and when each ended is on disk. The agent has to be gone, else it
 * starts them again. What does not end even so is the caller's to kill.
 */
export async function stopContainers(hostCgroup: string, graceMs: number): Promise<void> {
  const all = await CgroupTree.at(hostCgroup);
  const agents = await CgroupTree.at(`${hostCgroup}/agent`);
  const living = async () => {
    const own = new Set(await agents.pids());
    return (await all.pids()).filter((pid) => !own.has(pid));
  };
  const ended = (what: string, pids: () => Promise<readonly number[]>, timeoutMs: number) =>
    waitUntil(async () => (await pids()).length === 0, { what, timeoutMs, intervalMs: 20 }).catch(() => undefined);
  const shims = new Set<number>();
  const signalFirst = async (name: 'SIGTERM' | 'SIGKILL') => {
    const possible = new Set(await agents.pids());
    for (const pid of await living()) {
      const parent = await parentOf(pid);
      if (!possible.has(parent)) continue;
      shims.add(parent);
      signal(pid, name);
    }
  };
  await signalFirst('SIGTERM');
  await ended(`the containers in ${hostCgroup} to end`, living, graceMs);
  await signalFirst('SIGKILL');
  const writing = async () => (await agents.pids()).filter((pid) => shims.has(pid));
  await ended(`the shims in ${hostCgroup} to end`, writing, KILL_MS);
}

/** A child of a shim is the first process of a container, or an exec. */
async function parentOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1] ?? 0);
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended by itself.
  }
}

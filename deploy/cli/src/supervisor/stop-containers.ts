import { readFile } from 'node:fs/promises';
import { CgroupTree, waitUntil } from '@atoll/hosts';

/**
 * Asks the containers of a host to end, as a machine that shuts down does: SIGTERM to the first process of each, up to
 * `graceMs` for all. What is left is the caller's to kill. The agent has to be gone, else it starts them again.
 */
export async function stopContainers(hostCgroup: string, graceMs: number): Promise<void> {
  const all = await CgroupTree.at(hostCgroup);
  const agents = await CgroupTree.at(`${hostCgroup}/agent`);
  const living = async () => {
    const own = new Set(await agents.pids());
    return (await all.pids()).filter((pid) => !own.has(pid));
  };
  for (const pid of await living()) if (await isFirstProcess(pid)) terminate(pid);
  await waitUntil(async () => (await living()).length === 0, {
    what: `the containers in ${hostCgroup} to end`,
    timeoutMs: graceMs,
    intervalMs: 20,
  }).catch(() => undefined);
}

/** True for pid 1 of a pid namespace below ours (`NSpid` in proc(5)). */
async function isFirstProcess(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const pids = /^NSpid:\s*(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
  return pids.length > 1 && pids.at(-1) === '1';
}

function terminate(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It has ended by itself.
  }
}

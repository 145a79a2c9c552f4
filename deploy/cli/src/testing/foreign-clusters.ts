import { readdir, readFile } from 'node:fs/promises';
import { CHECKOUT } from '../cluster/checkout.ts';
import { ClusterPaths } from '../cluster/cluster-paths.ts';
import { readLiveState } from '../cluster/cluster-state.ts';

/** Texts that mark kernel objects of clusters which another checkout runs at the same time on this machine. */
export async function foreignMarks(): Promise<readonly string[]> {
  const marks: string[] = [];
  for (const name of await readdir('/run/atoll').catch(() => [])) {
    const state = name.startsWith('.') ? undefined : await readState(name);
    if (!state) continue;
    const command = await readFile(`/proc/${state.supervisor.pid}/cmdline`, 'utf8').catch(() => '');
    if (command.includes(`${CHECKOUT}/`)) continue;
    const { bridge } = new ClusterPaths({ name, dataRoot: state.dataRoot }).names();
    marks.push(bridge.replace(/br$/, ''), `/atoll/${name}`, state.dataRoot);
  }
  return marks;
}

async function readState(name: string) {
  try {
    return await readLiveState(new ClusterPaths({ name }));
  } catch {
    return undefined;
  }
}

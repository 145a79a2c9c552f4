import { readFileSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { ProcessIdentity } from '@atoll/hosts';
import { isAlive } from '@atoll/hosts';
import type { Step } from '../progress/step.ts';
import type { ClusterPaths } from './cluster-paths.ts';

export type ClusterPhase = 'starting' | 'ready' | 'failed' | 'stopping';

export interface ServiceState {
  readonly name: string;
  readonly process?: ProcessIdentity;
  /** Host it runs on; none for those of the machine itself. */
  readonly host?: string;
  readonly ready: boolean;
  readonly restarts: number;
}

export interface HostState {
  readonly name: string;
  readonly index: number;
  readonly address: string;
  readonly holder?: ProcessIdentity;
  readonly cut: boolean;
}

/** What the supervisor knows, in the run folder; gone after a reboot, like everything it names. */
export interface ClusterState {
  readonly phase: ClusterPhase;
  readonly failure?: string;
  readonly supervisor: ProcessIdentity;
  readonly dataRoot: string;
  readonly block: string;
  /** Acknowledged state survives a power cut; the reason when not. */
  readonly durability: string;
  readonly endpoints: Readonly<Record<string, string>>;
  readonly services: readonly ServiceState[];
  readonly hosts: readonly HostState[];
  readonly steps: readonly Step[];
}

/** Data root of the cluster of that name that runs, or did until something killed it; undefined when there is none. */
export function knownDataRoot(paths: ClusterPaths): string | undefined {
  try {
    return (JSON.parse(readFileSync(paths.stateFile, 'utf8')) as ClusterState).dataRoot;
  } catch {
    return undefined;
  }
}

/** Undefined when no cluster of that name was started since the machine's boot. */
export async function readState(paths: ClusterPaths): Promise<ClusterState | undefined> {
  try {
    return JSON.parse(await readFile(paths.stateFile, 'utf8')) as ClusterState;
  } catch {
    return undefined;
  }
}

export async function writeState(paths: ClusterPaths, state: ClusterState): Promise<void> {
  await writeFile(`${paths.stateFile}.new`, JSON.stringify(state), { mode: 0o600 });
  await rename(`${paths.stateFile}.new`, paths.stateFile);
}

/** The state of a cluster whose supervisor lives. */
export async function readLiveState(paths: ClusterPaths): Promise<ClusterState | undefined> {
  const state = await readState(paths);
  return state && (await isAlive(state.supervisor)) ? state : undefined;
}

import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RootSpec, ShimTools } from '../runtime/shim-tools.ts';
import { killSupervisor } from './kill-supervisor.ts';

/** The folder of one step; its root's changes go to `upper`. */
export interface StepWorkspace extends AsyncDisposable {
  readonly id: string;
  /** The shim's bundle. */
  readonly directory: string;
  readonly upper: string;
  readonly work: string;
  readonly logs: string;
}

/** Folders of build steps, below one root. A step that was cut off leaves nothing behind the agent's next start. */
export class StepWorkspaces {
  readonly #root: string;
  readonly #tools: ShimTools;

  private constructor(root: string, tools: ShimTools) {
    this.#root = root;
    this.#tools = tools;
  }

  static async open(root: string, tools: ShimTools): Promise<StepWorkspaces> {
    await mkdir(root, { recursive: true, mode: 0o711 });
    const workspaces = new StepWorkspaces(root, tools);
    for (const name of await readdir(root)) await workspaces.#remove(join(root, name));
    return workspaces;
  }

  async create(): Promise<StepWorkspace> {
    const id = randomBytes(32).toString('hex');
    const directory = join(this.#root, id);
    const upper = join(directory, 'upper');
    const work = join(directory, 'work');
    const logs = join(directory, 'logs');
    await mkdir(directory, { mode: 0o700 });
    await Promise.all([mkdir(upper, { mode: 0o755 }), mkdir(work, { mode: 0o700 }), mkdir(logs, { mode: 0o700 })]);
    return { id, directory, upper, work, logs, [Symbol.asyncDispose]: () => this.#remove(directory) };
  }

  async #remove(directory: string): Promise<void> {
    // After a step that ended well there is none.
    await killSupervisor(directory);
    await this.#tools.cleanup(directory, AbortSignal.timeout(30_000));
    await rm(directory, { recursive: true, force: true });
  }
}

/** The root of a step: its base layers (top first) and a folder for its changes. */
export function stepRoot(workspace: StepWorkspace, lowers: readonly string[]): RootSpec & { readonly kind: 'overlay' } {
  return { kind: 'overlay', lowers, upper: workspace.upper, work: workspace.work };
}

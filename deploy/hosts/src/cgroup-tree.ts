import { writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type CgroupHierarchy, listCgroupHierarchies } from './cgroup-hierarchies.ts';
import { waitUntil } from './wait-until.ts';

const KILL_LIMIT_MS = 10_000;
/** Controllers that hosts need in the v2 tree. */
const WANTED = ['cpu', 'cpuset', 'memory', 'pids', 'io'];

/** One subtree, at the same path in every hierarchy of the machine: `/atoll/<cluster>/<host>`. */
export class CgroupTree {
  readonly path: string;
  readonly #hierarchies: readonly CgroupHierarchy[];

  private constructor(path: string, hierarchies: readonly CgroupHierarchy[]) {
    this.path = path;
    this.#hierarchies = hierarchies;
  }

  static async at(path: string): Promise<CgroupTree> {
    return new CgroupTree(path, await listCgroupHierarchies());
  }

  /** Makes the subtree and its parents, with controllers and cpusets passed down. */
  async create(): Promise<void> {
    await Promise.all(this.#own().map((hierarchy) => createPath(hierarchy, this.path)));
  }

  /**
   * Moves a process, with all its threads, into this very group; one that has ended meanwhile is no error.
   * Synchronous, so that a program just spawned is moved before it can fork.
   */
  add(pid: number): void {
    for (const { mountPoint } of this.#own()) {
      const folder = join(mountPoint, this.path);
      try {
        writeFileSync(join(folder, 'cgroup.procs'), String(pid));
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
      }
    }
  }

  /** Every process in the subtree, in whichever hierarchy it is. */
  async pids(): Promise<readonly number[]> {
    const pids = new Set<number>();
    for (const folder of this.#folders()) {
      for (const group of await subtree(folder)) {
        for (const line of await read(join(group, 'cgroup.procs'))) pids.add(Number(line));
      }
    }
    pids.delete(process.pid);
    return [...pids];
  }

  /** SIGKILL to everything in the subtree, also to what is forked meanwhile or frozen. Returns when nothing lives. */
  async kill(timeoutMs = KILL_LIMIT_MS): Promise<void> {
    await waitUntil(
      async () => {
        const pids = await this.pids();
        for (const pid of pids) kill(pid);
        if (pids.length > 0) await this.#thaw();
        return pids.length === 0;
      },
      { what: `the processes in cgroup ${this.path} to die`, timeoutMs },
    );
  }

  /** Removes the empty subtree. Groups that still hold processes stay, and so do their parents. */
  async remove(): Promise<void> {
    for (const folder of this.#folders()) {
      for (const group of (await subtree(folder)).reverse()) await rmdir(group).catch(() => undefined);
      // Parents of ours that nobody uses any more go too.
      let parent = dirname(folder);
      const top = this.#hierarchies.find((hierarchy) => folder.startsWith(`${hierarchy.mountPoint}/`))?.mountPoint;
      while (top && parent.length > top.length && (await removed(parent))) parent = dirname(parent);
    }
  }

  /** True while the subtree is there in any hierarchy. */
  async exists(): Promise<boolean> {
    const found = await Promise.all(this.#folders().map((folder) => stat(folder).catch(() => undefined)));
    return found.some((folder) => folder !== undefined);
  }

  async #thaw(): Promise<void> {
    for (const folder of this.#folders()) {
      for (const group of await subtree(folder)) {
        await writeFile(join(group, 'freezer.state'), 'THAWED', { flag: 'r+' }).catch(() => undefined);
        await writeFile(join(group, 'cgroup.freeze'), '0', { flag: 'r+' }).catch(() => undefined);
      }
    }
  }

  /** Where we make groups ourselves; looking and removing goes through all hierarchies. */
  #own(): readonly CgroupHierarchy[] {
    return this.#hierarchies.filter((hierarchy) => !hierarchy.named);
  }

  #folders(): readonly string[] {
    return this.#hierarchies.map((hierarchy) => join(hierarchy.mountPoint, this.path));
  }
}

async function createPath(hierarchy: CgroupHierarchy, path: string): Promise<void> {
  let folder = hierarchy.mountPoint;
  for (const part of path.split('/').filter(Boolean)) {
    const parent = folder;
    folder = join(folder, part);
    if (hierarchy.version === 2) await delegate(parent);
    await mkdir(folder, { recursive: true });
    if (hierarchy.controllers.includes('cpuset')) await inheritCpuset(parent, folder);
  }
}

/** v2: controllers reach children only when the parent hands them down (kernel, cgroup-v2, "Enabling and Disabling"). */
async function delegate(folder: string): Promise<void> {
  const [available, enabled] = await Promise.all([
    read(join(folder, 'cgroup.controllers')),
    read(join(folder, 'cgroup.subtree_control')),
  ]);
  const has = (lines: readonly string[]) => new Set(lines.join(' ').split(' '));
  const missing = WANTED.filter((name) => has(available).has(name) && !has(enabled).has(name));
  if (missing.length === 0) return;
  await writeFile(join(folder, 'cgroup.subtree_control'), missing.map((name) => `+${name}`).join(' '));
}

/** v1: a new cpuset is empty and takes no process until both lists are set (kernel, cgroup-v1/cpusets, section 1.4). */
async function inheritCpuset(parent: string, folder: string): Promise<void> {
  for (const name of ['cpuset.cpus', 'cpuset.mems']) {
    const [current] = await read(join(folder, name));
    const [value] = await read(join(parent, name));
    if (!current && value) await writeFile(join(folder, name), value);
  }
}

/** The group and all below it, parents first. A group that goes away meanwhile is left out. */
async function subtree(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
  if (!entries) return [];
  const groups = [folder];
  for (const entry of entries) if (entry.isDirectory()) groups.push(...(await subtree(join(folder, entry.name))));
  return groups;
}

async function read(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').filter(Boolean);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already: that is what was wanted.
  }
}

function removed(folder: string): Promise<boolean> {
  return rmdir(folder).then(
    () => true,
    () => false,
  );
}

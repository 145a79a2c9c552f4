import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const CPUACCT = '/sys/fs/cgroup/cpuacct';

/** A cpuacct cgroup (kernel: cgroup-v1/cpuacct): whoever starts in it is counted, with all its children that stay. */
export class CpuGroup {
  readonly path: string;

  constructor(name: string) {
    this.path = join(CPUACCT, name);
    mkdirSync(this.path, { recursive: true });
  }

  /** ns of CPU used by everything ever in the group and below. */
  usage(): number {
    return Number(readFileSync(join(this.path, 'cpuacct.usage'), 'utf8'));
  }

  add(pid: number): void {
    writeFileSync(join(this.path, 'cgroup.procs'), String(pid));
  }

  remove(): void {
    removeTree(this.path);
  }
}

function removeTree(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(path, entry.name));
  rmdirSync(path);
}

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildProbe } from './shim-binary.ts';

/** mkfs.xfs makes none that is smaller. */
const IMAGE_BYTES = 320 * 2 ** 20;
const UNMOUNT_ATTEMPTS = 400;

export const QUOTA_FILE_SYSTEMS = ['xfs', 'ext4'] as const;
export type QuotaFileSystem = (typeof QUOTA_FILE_SYSTEMS)[number];

const FEATURES: Readonly<Record<QuotaFileSystem, readonly string[]>> = { xfs: [], ext4: ['-O', 'project,quota'] };

/** What counts on a project, in bytes. */
export interface ProjectUse {
  readonly id: number;
  readonly limit: number;
  readonly bytes: number;
  readonly files: number;
}

/** A file system of its own, in a file, with project quotas that hold. */
export class QuotaDisk {
  readonly folder: string;
  readonly #parent: string;

  private constructor(parent: string) {
    this.#parent = parent;
    this.folder = join(parent, 'disk');
  }

  /** The disk, or why this machine has none. */
  static mount(kind: QuotaFileSystem, limits = true): QuotaDisk | string {
    const disk = new QuotaDisk(mkdtempSync(join(tmpdir(), 'atoll-quota-')));
    const image = join(disk.#parent, 'image');
    writeFileSync(image, '');
    truncateSync(image, IMAGE_BYTES);
    mkdirSync(disk.folder);
    try {
      execFileSync(`mkfs.${kind}`, ['-q', ...(limits ? FEATURES[kind] : []), image], { stdio: 'pipe' });
      execFileSync('mount', ['-t', kind, '-o', limits ? 'loop,prjquota' : 'loop', image, disk.folder], {
        stdio: 'pipe',
      });
      return disk;
    } catch (error) {
      rmSync(disk.#parent, { recursive: true, force: true });
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return `mkfs.${kind} is not installed`;
      return `this kernel does not mount ${kind}${limits ? ' with project quotas' : ''}`;
    }
  }

  projects(): readonly ProjectUse[] {
    const lines = execFileSync(buildProbe(), ['projects', this.folder], { encoding: 'utf8' }).split('\n');
    return lines.filter(Boolean).map((line) => {
      const [id = 0, limit = 0, bytes = 0, files = 0] = line.split(' ').map(Number);
      return { id, limit, bytes, files };
    });
  }

  limit(id: number, bytes: number): void {
    const said = execFileSync(buildProbe(), ['limit', this.folder, `${id}`, `${bytes}`], { encoding: 'utf8' });
    if (said !== 'ok\n') throw new Error(`project ${id} cannot be limited: ${said}`);
  }

  /** A shim has its bundle open for a moment after all that is told of its end. */
  async dispose(): Promise<void> {
    for (let attempt = 0; spawnSync('umount', [this.folder]).status !== 0; attempt++) {
      if (attempt === UNMOUNT_ATTEMPTS) throw new Error(`${this.folder} is still in use`);
      await sleep(50);
    }
    rmSync(this.#parent, { recursive: true, force: true });
  }
}

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type AppliedLayer, ShimTools, type UnpackLimits } from '../shim-tools.ts';
import { buildShim, requireRoot } from './shim-binary.ts';
import type { TarMember } from './tar-builder.ts';
import { listTree } from './tree-listing.ts';

/** A folder of unpacked layers beside a canary that no archive may reach. */
export class LayerFolder implements AsyncDisposable {
  readonly tools = new ShimTools(buildShim());
  readonly path: string;
  readonly canary: string;
  #count = 0;

  private constructor(path: string) {
    this.path = path;
    this.canary = join(path, 'canary');
  }

  static async create(): Promise<LayerFolder> {
    requireRoot();
    const folder = new LayerFolder(await mkdtemp(join(tmpdir(), 'atoll-layer-')));
    await mkdir(folder.canary);
    await writeFile(join(folder.canary, 'secret'), 'untouched', { mode: 0o600 });
    return folder;
  }

  get signal(): AbortSignal {
    return AbortSignal.timeout(20_000);
  }

  async unpack(tar: Buffer, limits: UnpackLimits = {}): Promise<{ root: string; applied: AppliedLayer }> {
    const root = join(this.path, `layer${this.#count++}`);
    await mkdir(root);
    return { root, applied: await this.tools.applyLayer(root, Readable.from([tar]), limits, this.signal) };
  }

  /** What is in the canary now; `[CANARY_CONTENT]` as long as nothing got out. */
  listCanary(): string[] {
    return listTree(this.canary);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

export const CANARY_CONTENT = 'file 600 0:0 secret "untouched"';

export const file = (name: string, content = 'x'): TarMember => ({ name, content });
export const link = (name: string, target: string): TarMember => ({ name, type: '2', link: target });
export const hard = (name: string, target: string): TarMember => ({ name, type: '1', link: target });
export const dir = (name: string): TarMember => ({ name, type: '5' });

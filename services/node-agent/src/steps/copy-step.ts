import { hasReason, invalidArgument } from '@atoll/errors';
import type { buildV1 } from '@atoll/proto';
import type { WriteOptions } from '../archive/root-filesystem.ts';
import { decompressed } from '../images/decompress.ts';
import type { RootSpec } from '../runtime/shim-tools.ts';
import type { BuildHost } from './build-host.ts';
import { copySources } from './copy-sources.ts';
import { stepRoot } from './step-workspaces.ts';

const FOLDER = 2 ** 31;

/** Puts files above the base layers, from a tar or from other layers; they are a new layer. */
export async function copyStep(
  build: BuildHost,
  start: buildV1.CopyStepStart,
  data: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<buildV1.StepResult> {
  const lease = await build.layers.acquire(start.base?.layers ?? [], signal);
  try {
    await using workspace = await build.workspaces.create();
    const root = stepRoot(workspace, lease.directories.length > 0 ? lease.directories : [build.emptyLayer]);
    const copy = new Copy(build, start, root, await optionsOf(build, start, root, signal), signal);
    if (start.from) await copy.fromLayers(start.from);
    else await copy.fromTar(decompressed(data));
    const layer = await build.committer.commit(workspace.upper, start.sourceDateEpoch, signal);
    return { exitCode: 0, layer, empty: layer === undefined };
  } finally {
    lease.release();
  }
}

/** Owner and permissions of what is copied. */
async function optionsOf(
  build: BuildHost,
  start: buildV1.CopyStepStart,
  root: RootSpec,
  signal: AbortSignal,
): Promise<WriteOptions> {
  const mode = start.chmod === '' ? undefined : Number.parseInt(start.chmod, 8);
  if (start.keepOwner && start.chown === '') return { mode };
  if (start.chown === '') return { mode, owner: { uid: 0, gid: 0 } };
  const owner = await build.filesystem.user(root, start.chown, signal);
  // Docker: a user without a group brings its number as the group.
  return { mode, owner: start.chown.includes(':') ? owner : { uid: owner.uid, gid: owner.uid } };
}

class Copy {
  readonly #build: BuildHost;
  readonly #start: buildV1.CopyStepStart;
  readonly #root: RootSpec;
  readonly #options: WriteOptions;
  readonly #signal: AbortSignal;

  constructor(
    build: BuildHost,
    start: buildV1.CopyStepStart,
    root: RootSpec,
    options: WriteOptions,
    signal: AbortSignal,
  ) {
    this.#build = build;
    this.#start = start;
    this.#root = root;
    this.#options = options;
    this.#signal = signal;
  }

  async fromTar(tar: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#start.into || (await this.#isFolder(this.#start.destination))) await this.#below(tar, {});
    else await this.#become(tar);
  }

  async fromLayers(from: buildV1.StepBase): Promise<void> {
    const { layers, filesystem } = this.#build;
    const lease = await layers.acquire(from.layers, this.#signal);
    try {
      const root: RootSpec = { kind: 'overlay', lowers: lease.directories };
      const sources = await copySources(filesystem, root, this.#start.fromPaths, this.#signal);
      if (sources.length > 1 && !this.#start.into) {
        throw invalidArgument(
          'When using COPY with more than one source file, the destination must be a directory and end with a /',
        );
      }
      for (const { path, name, folder } of sources) {
        const tar = filesystem.read(root, folder ? `${path.replace(/\/+$/, '')}/.` : path, this.#signal);
        if (folder) await this.#below(tar, {});
        else if (this.#start.into || (await this.#isFolder(this.#start.destination)))
          await this.#below(tar, { rename: name });
        else await this.#become(tar);
      }
    } finally {
      lease.release();
    }
  }

  async #below(tar: AsyncIterable<Uint8Array>, more: WriteOptions): Promise<void> {
    const options = { ...this.#options, ...more, makeFolders: true };
    await this.#build.filesystem.write(this.#root, this.#start.destination, tar, options, this.#signal);
  }

  async #become(tar: AsyncIterable<Uint8Array>): Promise<void> {
    const path = this.#start.destination.replace(/\/+$/, '');
    const at = path.lastIndexOf('/');
    const options = { ...this.#options, rename: path.slice(at + 1), makeFolders: true };
    await this.#build.filesystem.write(this.#root, path.slice(0, at) || '/', tar, options, this.#signal);
  }

  async #isFolder(path: string): Promise<boolean> {
    try {
      const { mode, linkTarget } = await this.#build.filesystem.stat(this.#root, path, this.#signal);
      if (linkTarget !== '') return await this.#isFolder(linkTarget);
      return Math.floor(mode / FOLDER) % 2 === 1;
    } catch (error) {
      if (hasReason(error, 'not-found')) return false;
      throw error;
    }
  }
}

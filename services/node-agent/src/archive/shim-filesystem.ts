import { Readable } from 'node:stream';
import { hasReason } from '@atoll/errors';
import type { runtimeV1 } from '@atoll/proto';
import type { LayerUnpacker } from '../images/fs-layer-store.ts';
import type { RootSpec, ShimTools, UnpackLimits } from '../runtime/shim-tools.ts';
import type { VolumeSeeder } from '../volumes/mount-resolver.ts';
import { goFileMode } from './go-file-mode.ts';
import { PathPattern } from './path-pattern.ts';
import { rewriteTar } from './rewrite-tar.ts';
import type { RootReader, RootWriter, UpperReader, WriteOptions } from './root-filesystem.ts';
import { tarNames } from './tar-names.ts';

/** Docker's numbers for kinds of changes. */
const CHANGE_KIND = { changed: 0, added: 1, deleted: 2 } as const;

/** Untrusted file trees, by the shim's tools. */
export class ShimFilesystem implements RootReader, RootWriter, UpperReader, LayerUnpacker, VolumeSeeder {
  readonly #tools: ShimTools;
  readonly #room: () => Promise<UnpackLimits>;

  /** `room`: what an archive may fill at the moment. */
  constructor(tools: ShimTools, room: () => Promise<UnpackLimits>) {
    this.#tools = tools;
    this.#room = room;
  }

  async unpack(tar: AsyncIterable<Uint8Array>, directory: string, signal: AbortSignal): Promise<string> {
    return (await this.#tools.applyLayer(directory, Readable.from(tar), await this.#room(), signal)).diffId;
  }

  async seed(lowers: readonly string[], path: string, volume: string, signal: AbortSignal): Promise<void> {
    const root: RootSpec = { kind: 'overlay', lowers };
    const found = await this.#tools.statPath(root, path, signal).catch((error: unknown) => {
      if (hasReason(error, 'not-found')) return undefined;
      throw error;
    });
    if (!found || (found.mode & 0o170000) !== 0o040000) return;
    const tar = this.#tools.getArchive(root, path, signal);
    // The archive's one top member is the folder itself: renamed to the volume's, it brings owner and mode along.
    const at = volume.lastIndexOf('/');
    const parent: RootSpec = { kind: 'directory', path: volume.slice(0, at) };
    await this.#tools.putArchive(parent, '/', tar, { rename: volume.slice(at + 1) }, signal);
  }

  async stat(root: RootSpec, path: string, signal: AbortSignal): Promise<runtimeV1.PathStat> {
    const { name, size, mode, mtimeSeconds, mtimeNanoseconds, linkTarget } = await this.#tools.statPath(
      root,
      path,
      signal,
    );
    return {
      name,
      size: BigInt(size),
      mode: goFileMode(mode),
      mtimeNs: BigInt(mtimeSeconds) * 1_000_000_000n + BigInt(mtimeNanoseconds),
      linkTarget,
    };
  }

  read(root: RootSpec, path: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#tools.getArchive(root, path, signal);
  }

  async write(
    root: RootSpec,
    folder: string,
    tar: AsyncIterable<Uint8Array>,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const { mode } = options;
    const source = mode === undefined ? tar : rewriteTar(tar, { mode });
    await this.#tools.putArchive(root, folder, Readable.from(source), { ...(await this.#room()), ...options }, signal);
  }

  user(root: RootSpec, user: string, signal: AbortSignal): Promise<{ readonly uid: number; readonly gid: number }> {
    return this.#tools.resolveUser(root, user, signal);
  }

  async glob(root: RootSpec, pattern: string, signal: AbortSignal): Promise<readonly string[]> {
    const wanted = new PathPattern(pattern);
    const base = wanted.base === '/' ? '' : wanted.base;
    const found = new Set<string>();
    try {
      for await (const name of tarNames(this.#tools.getArchive(root, `${base}/.`, signal))) {
        if (wanted.matches(name)) found.add(`${base}/${name}`);
      }
    } catch (error) {
      if (!hasReason(error, 'not-found')) throw error;
    }
    return [...found].sort();
  }

  diff(upper: string, epoch: number, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const tar = this.#tools.diffLayer(upper, signal);
    return epoch === 0 ? tar : rewriteTar(tar, { epoch });
  }

  async changes(upper: string, lowers: readonly string[], signal: AbortSignal): Promise<readonly runtimeV1.Change[]> {
    const changes = await this.#tools.changes(upper, lowers, signal);
    return changes.map(({ kind, path }) => ({ path, kind: CHANGE_KIND[kind] }));
  }
}

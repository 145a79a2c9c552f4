import type { Readable } from 'node:stream';
import { z } from 'zod';
import type { IdMap, ProcessIdentity } from './plan.ts';
import { runShim } from './shim-process.ts';
import { streamShim } from './stream-shim.ts';

/** The root a tool works in. All paths are resolved inside it, links included. */
export type RootSpec =
  | { readonly kind: 'directory'; readonly path: string }
  /** What a running container's process sees, volumes included. */
  | { readonly kind: 'process'; readonly process: ProcessIdentity }
  /** A container that does not run: its plan's overlay and binds, mounted for this command only. */
  | { readonly kind: 'bundle'; readonly path: string }
  /** A container that another runtime will start: what its shim has mounted for it, see `native/README.md`. */
  | { readonly kind: 'prepared'; readonly path: string }
  /** Layers, top first; read-only without `upper`. Mounted for this command only. */
  | { readonly kind: 'overlay'; readonly lowers: readonly string[]; readonly upper?: string; readonly work?: string };

const APPLIED = z.object({ diffId: z.string(), bytes: z.number(), entries: z.number() });

/** `diffId` is the sha256 of the uncompressed stream; `bytes` the files' sizes added up. */
export type AppliedLayer = z.infer<typeof APPLIED>;

const PATH_STAT = z.object({
  name: z.string(),
  size: z.number(),
  /** `st_mode` of stat(2). */
  mode: z.number(),
  mtimeSeconds: z.number(),
  mtimeNanoseconds: z.number(),
  /** Of a symbolic link: where it leads inside the root, all links followed; else empty. */
  linkTarget: z.string(),
});

export type PathStat = z.infer<typeof PATH_STAT>;

const FEATURES = z.object({
  kernel: z.string(),
  openat2: z.boolean(),
  clone3: z.boolean(),
  mountSetattr: z.boolean(),
  pidfd: z.boolean(),
  overlay: z.boolean(),
  lowerdirPlus: z.boolean(),
  seccomp: z.boolean(),
  cgroupMode: z.enum(['v1', 'v2', 'hybrid']),
  controllers: z.array(z.string()),
});

export type HostFeatures = z.infer<typeof FEATURES>;

const STORAGE_LIMITS = z.object({
  /** Of the folder: xfs, ext4 … */
  fileSystem: z.string(),
  /** Why what containers write cannot be limited there; empty when it can. */
  missing: z.string(),
});

export type StorageLimits = z.infer<typeof STORAGE_LIMITS>;

export interface UnpackLimits {
  readonly maxBytes?: number | undefined;
  readonly maxEntries?: number | undefined;
}

export interface ArchivePutOptions extends UnpackLimits {
  /** Owner of all members instead of the archive's. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** New name of the single top member. */
  readonly rename?: string | undefined;
  /** Make the folder and its parents (root, 0755) when missing. */
  readonly makeFolders?: boolean | undefined;
  /** Docker's noOverwriteDirNonDir: a folder is not replaced by another kind, nor the other way round. */
  readonly keepKinds?: boolean | undefined;
}

export interface PathChange {
  readonly kind: 'added' | 'changed' | 'deleted';
  readonly path: string;
}

const CHANGE_KINDS = { A: 'added', C: 'changed', D: 'deleted' } as const;
const MAX_CHANGES_BYTES = 64 * 1024 * 1024;

/**
 * The shim's tools for file trees nobody may trust. A missing path is `not-found`, a wrong archive
 * `invalid-argument`; details hold the failing step and errno.
 */
export class ShimTools {
  readonly #shim: string;

  constructor(shim: string) {
    this.#shim = shim;
  }

  /** Unpacks an uncompressed layer into an empty folder, synced to disk. On failure the folder is to be removed. */
  async applyLayer(folder: string, tar: Readable, limits: UnpackLimits, signal: AbortSignal): Promise<AppliedLayer> {
    const args = ['layer-apply', folder, ...limitArguments(limits)];
    return APPLIED.parse(JSON.parse(await runShim(this.#shim, args, signal, { input: tar })));
  }

  /** A layer's tar of an overlay's upper folder; the same tree gives the same bytes. */
  diffLayer(upper: string, signal: AbortSignal): Readable {
    return streamShim(this.#shim, ['layer-diff', upper], signal);
  }

  /** Docker's `diff`: paths in byte order, folders that hold changes included. `lowers` top first. */
  async changes(upper: string, lowers: readonly string[], signal: AbortSignal): Promise<readonly PathChange[]> {
    const output = await runShim(this.#shim, ['changes', upper, ...lowers], signal, { maxOutput: MAX_CHANGES_BYTES });
    return output
      .split('\0')
      .slice(0, -1)
      .map((line) => ({ kind: CHANGE_KINDS[line[0] as keyof typeof CHANGE_KINDS], path: line.slice(2) }));
  }

  /** A tar of the path, its members named by the path's last component (Docker's archive GET). */
  getArchive(root: RootSpec, path: string, signal: AbortSignal): Readable {
    return streamShim(this.#shim, ['archive-get', ...rootArguments(root), pathArgument(path)], signal);
  }

  /** Unpacks a tar into an existing folder (Docker's archive PUT). */
  async putArchive(
    root: RootSpec,
    folder: string,
    tar: Readable,
    options: ArchivePutOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const { owner, rename } = options;
    const args = ['archive-put', ...rootArguments(root), pathArgument(folder), ...limitArguments(options)];
    if (owner !== undefined) args.push('--chown', `${owner.uid}:${owner.gid}`);
    if (rename !== undefined) args.push('--rename', rename);
    if (options.makeFolders) args.push('--mkdirs');
    if (options.keepKinds) args.push('--keep-kinds');
    await runShim(this.#shim, args, signal, { input: tar });
  }

  async statPath(root: RootSpec, path: string, signal: AbortSignal): Promise<PathStat> {
    const args = ['archive-stat', ...rootArguments(root), pathArgument(path)];
    return PATH_STAT.parse(JSON.parse(await runShim(this.#shim, args, signal)));
  }

  /** Resolves a Docker user string in the root's passwd and group files. */
  async resolveUser(
    root: RootSpec,
    user: string,
    signal: AbortSignal,
  ): Promise<{ readonly uid: number; readonly gid: number }> {
    const output = await runShim(this.#shim, ['resolve-user', ...rootArguments(root), user], signal);
    const [uid = 0, gid = 0] = output.trim().split(':').map(Number);
    return { uid, gid };
  }

  /** The same with the groups the user is in beside the first, and `additional` ones by name or number. */
  async resolveGroups(
    root: RootSpec,
    user: string,
    additional: readonly string[],
    signal: AbortSignal,
  ): Promise<{ readonly uid: number; readonly gid: number; readonly groups: readonly number[] }> {
    const more = additional.flatMap((group) => ['--group', group]);
    const output = await runShim(this.#shim, ['resolve-user', ...rootArguments(root), ...more, user], signal);
    const [uid = '0', gid = '0', groups = ''] = output.trim().split(':');
    return { uid: Number(uid), gid: Number(gid), groups: groups.split(',').filter(Boolean).map(Number) };
  }

  /** Mounts layers onto a folder of this mount namespace. Prefer an overlay `RootSpec`, which leaves nothing to unmount. */
  async mountOverlay(
    root: RootSpec & { readonly kind: 'overlay' },
    target: string,
    signal: AbortSignal,
  ): Promise<void> {
    await runShim(this.#shim, ['mount-overlay', ...rootArguments(root), target], signal);
  }

  /** Not being mounted is fine. */
  async unmount(target: string, signal: AbortSignal): Promise<void> {
    await runShim(this.#shim, ['umount', target], signal);
  }

  /**
   * Removes what a killed shim left: processes, cgroups, interface; writes the exit record when there is
   * none. `conflict` while the shim lives. Safe to repeat.
   */
  async cleanup(bundle: string, signal: AbortSignal): Promise<void> {
    await runShim(this.#shim, ['cleanup', bundle], signal);
  }

  /**
   * Has everything tried that containers with these ids need of the kernel and of the folder's file system; `folder` is empty and
   * keeps what was made. Throws the first failure.
   */
  async checkUserNamespaces(folder: string, { uid, gid, size }: IdMap, signal: AbortSignal): Promise<void> {
    await runShim(this.#shim, ['check-userns', folder, ...[uid, gid, size].map(String)], signal);
  }

  /** Whether the file system of a folder has project quotas that hold, see `native/src/storage-limit.c`. */
  async storageLimits(folder: string, signal: AbortSignal): Promise<StorageLimits> {
    return STORAGE_LIMITS.parse(JSON.parse(await runShim(this.#shim, ['check-storage-limit', folder], signal)));
  }

  async features(signal: AbortSignal): Promise<HostFeatures> {
    return FEATURES.parse(JSON.parse(await runShim(this.#shim, ['features'], signal)));
  }
}

function rootArguments(root: RootSpec): string[] {
  switch (root.kind) {
    case 'directory':
      return ['--root', root.path];
    case 'process':
      return ['--pid', `${root.process.pid}:${root.process.startTicks}`];
    case 'bundle':
    case 'prepared':
      return [`--${root.kind}`, root.path];
    case 'overlay': {
      const lowers = root.lowers.flatMap((path) => ['--lower', path]);
      return root.upper === undefined ? lowers : [...lowers, '--upper', root.upper, '--work', root.work ?? ''];
    }
  }
}

/** A path that begins with a dash would be read as an option; inside a root both forms mean the same. */
function pathArgument(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

function limitArguments(limits: UnpackLimits): string[] {
  const args: string[] = [];
  if (limits.maxBytes !== undefined) args.push('--max-bytes', String(limits.maxBytes));
  if (limits.maxEntries !== undefined) args.push('--max-entries', String(limits.maxEntries));
  return args;
}

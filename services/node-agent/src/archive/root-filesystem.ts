import type { runtimeV1 } from '@atoll/proto';
import type { ArchivePutOptions, RootSpec } from '../runtime/shim-tools.ts';

/** Reads an untrusted root file system. Throws not-found when the path is not there. */
export interface RootReader {
  stat(root: RootSpec, path: string, signal: AbortSignal): Promise<runtimeV1.PathStat>;
  /** A tar whose members begin with the path's last name. */
  read(root: RootSpec, path: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Paths that match a pattern of Go's filepath.Match, sorted. */
  glob(root: RootSpec, pattern: string, signal: AbortSignal): Promise<readonly string[]>;
}

export interface WriteOptions extends ArchivePutOptions {
  /** Permission bits of everything written. */
  readonly mode?: number | undefined;
}

export interface RootWriter {
  /** Unpacks a tar below a folder. Throws not-found when the folder is missing, invalid-argument when it is none. */
  write(
    root: RootSpec,
    folder: string,
    tar: AsyncIterable<Uint8Array>,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<void>;
  /** A Docker user string by the root's own files. */
  user(root: RootSpec, user: string, signal: AbortSignal): Promise<{ readonly uid: number; readonly gid: number }>;
}

/** What the upper folder of an overlay holds. */
export interface UpperReader {
  /**
   * The layer (OCI tar with whiteouts) that the folder makes above its lowers; the same folder gives the same bytes. Entries
   * newer than `epoch` (unix seconds, 0 = none) get its time.
   */
  diff(upper: string, epoch: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  changes(upper: string, lowers: readonly string[], signal: AbortSignal): Promise<readonly runtimeV1.Change[]>;
}

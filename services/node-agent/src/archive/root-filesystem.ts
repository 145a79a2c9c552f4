import type { runtimeV1 } from '@atoll/proto';
import type { ProcessIdentity } from '../runtime/plan.ts';

/**
 * An untrusted root file system: what a running process sees, or folders of layers (top first) with an upper folder that takes
 * the changes. All path work in it happens in the shim, on descriptors.
 */
export type Root =
  | { readonly kind: 'process'; readonly process: ProcessIdentity }
  | { readonly kind: 'overlay'; readonly lowers: readonly string[]; readonly upper?: string; readonly work?: string };

export interface WriteOptions {
  /** Owner of everything written: `uid[:gid]` or names of the root's own files; undefined: as the archive says. */
  readonly owner?: string;
  /** Permission bits of everything written, octal. */
  readonly mode?: string;
  /** Make the folder and its missing parents. */
  readonly makeDirectory?: boolean;
  /** The archive's single entry gets this name. */
  readonly rename?: string;
  /** Fail when a folder would replace something else or the other way round. */
  readonly noOverwriteDirNonDir?: boolean;
}

/** Throws not-found when the path is not there. */
export interface RootReader {
  stat(root: Root, path: string, signal: AbortSignal): Promise<runtimeV1.PathStat>;
  /** A tar whose first entry is the path's last name; `<path>/.` gives what is in the folder. */
  read(root: Root, path: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

export interface RootWriter {
  /** Unpacks a tar below a folder. Throws not-found when the folder is missing, invalid-argument when it is none. */
  write(
    root: Root,
    directory: string,
    tar: AsyncIterable<Uint8Array>,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<void>;
}

/** What the upper folder of an overlay holds. */
export interface UpperReader {
  /** The layer (OCI tar with whiteouts) that the folder makes above its lowers; the same folder gives the same bytes. */
  diff(upper: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
  changes(upper: string, lowers: readonly string[], signal: AbortSignal): Promise<readonly runtimeV1.Change[]>;
}

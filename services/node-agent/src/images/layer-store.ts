import type { containerV1 } from '@atoll/proto';

/**
 * Unpacked layers of images on this host, each once, by diff id, shared read-only by all containers and build steps.
 *
 * A layer is there whole or not at all. A lease keeps layers from being collected; the layers of a lease are on disk from
 * `acquire` until `release`, which may be called more than once.
 */
export interface LayerStore {
  /**
   * Fetches what is missing and leases all. Layers are given base first. Rejects with not-found when the image store lacks a
   * blob, data-loss when bytes are not those of their digest; then nothing is leased.
   */
  acquire(layers: readonly containerV1.Layer[], signal: AbortSignal): Promise<LayerLease>;
  /** Leases layers without looking at them or fetching: for containers found again, which may use them already. */
  retain(layers: readonly containerV1.Layer[]): LayerLease;
  /**
   * Makes a layer of a folder that a build step has filled (overlay form), by moving it. A layer that is there already wins, and
   * the folder is deleted. `size` is that of the uncompressed tar.
   */
  adopt(directory: string, diffId: string, size: number): Promise<void>;
  /** Bytes on disk of all layers. */
  usage(): Promise<number>;
  /** Removes unused layers that are too old or, when the disk is too full, the longest unused. */
  collect(): Promise<readonly string[]>;
}

export interface LayerLease {
  /** Folders of the layers, top first, as overlayfs wants them. */
  readonly directories: readonly string[];
  release(): void;
}

import type { AuthConfig } from '@atoll/docker-api';
import type { imageV1 } from '@atoll/proto';
import type { ResolvedImage } from './resolved-image.ts';

export interface ImageStore {
  /** @throws not-found `No such image: x:latest` */
  resolveImage(reference: string, signal: AbortSignal): Promise<ResolvedImage>;
  listImages(
    query: { readonly all: boolean; readonly filters: ReadonlyMap<string, readonly string[]> },
    signal: AbortSignal,
  ): Promise<readonly imageV1.Image[]>;
  history(reference: string, signal: AbortSignal): Promise<readonly imageV1.HistoryEntry[]>;
  tagImage(source: string, target: string, signal: AbortSignal): Promise<void>;
  removeImage(
    reference: string,
    options: { readonly force: boolean; readonly noPrune: boolean },
    signal: AbortSignal,
  ): Promise<readonly imageV1.RemovedImage[]>;
  pruneImages(
    filters: ReadonlyMap<string, readonly string[]>,
    signal: AbortSignal,
  ): Promise<{ readonly removed: readonly imageV1.RemovedImage[]; readonly reclaimed: number }>;
  /** Number of containers of an image, by image id. */
  containerCounts(): ReadonlyMap<string, number>;
}

/** Transfers. Each says how it goes; a failure rejects the iteration. */
export interface ImageTransfers {
  pullImage(
    request: {
      readonly reference: string;
      readonly platform: string;
      readonly allTags: boolean;
      readonly auth: AuthConfig;
    },
    signal: AbortSignal,
  ): AsyncIterable<imageV1.Progress>;
  pushImage(
    request: { readonly reference: string; readonly auth: AuthConfig },
    signal: AbortSignal,
  ): AsyncIterable<imageV1.Progress>;
  importImage(
    start: imageV1.ImportImageStart,
    tar: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ): AsyncIterable<imageV1.Progress>;
  loadImages(tar: AsyncIterable<Buffer>, signal: AbortSignal): AsyncIterable<imageV1.Progress>;
  saveImages(references: readonly string[], signal: AbortSignal): AsyncIterable<Buffer>;
}

export interface ImageBackend extends ImageStore, ImageTransfers {}

import type { imageV1 } from '@atoll/proto';

export interface PullOptions {
  readonly auth: imageV1.RegistryAuth | undefined;
  readonly platform: string;
  readonly onProgress: (progress: imageV1.Progress) => Promise<void>;
}

/** The cluster's image store as a build sees it: the registry. */
export interface ImageSource {
  /** Undefined when the store has no such image. */
  find(reference: string, signal: AbortSignal): Promise<imageV1.Image | undefined>;
  pull(reference: string, options: PullOptions, signal: AbortSignal): Promise<void>;
  /** Stores the image and points the tags to it. */
  create(image: NewImage, signal: AbortSignal): Promise<void>;
  /** Asks for a blob, which keeps it from being collected for the registry's grace time. */
  hasBlob(digest: string, signal: AbortSignal): Promise<boolean>;
  tag(id: string, tag: string, signal: AbortSignal): Promise<void>;
}

export interface NewImage {
  readonly config: Buffer;
  readonly layers: imageV1.CreateImageRequest['layers'];
  readonly tags: readonly string[];
  /** Id of the base image; empty for scratch. */
  readonly parent: string;
}

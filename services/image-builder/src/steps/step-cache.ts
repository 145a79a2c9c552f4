import type { containerV1 } from '@atoll/proto';

/** What a step made the last time it ran. */
export interface StepRecord {
  /** RFC 3339. */
  readonly created: string;
  readonly layer: containerV1.Layer | undefined;
  /** Set on steps of other images. */
  readonly imported?: true;
}

/** Results of earlier steps by their probe key. It may forget anything; what it returns can be used as it is. */
export interface StepCache {
  /** Undefined when the step is not known or its layer is not in the store any more. */
  find(probe: string, signal: AbortSignal): Promise<StepRecord | undefined>;
  save(probe: string, record: StepRecord): Promise<void>;
  /** The content digest of a COPY --from, by source state and paths. */
  findDigest(key: string): Promise<string | undefined>;
  saveDigest(key: string, digest: string): Promise<void>;
  /** Learns the steps of images the builder made on this one, for a cache that was lost. */
  learn(baseImageId: string, signal: AbortSignal): Promise<void>;
  /** The steps of named images on this base, whoever made them: for the build that asks for them, remembered for no other. */
  importFrom(
    baseImageId: string,
    references: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, StepRecord>>;
}

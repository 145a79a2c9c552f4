import type { buildV1 } from '@atoll/proto';

export interface BuildBackend {
  /** Streams the context to the builder and its messages back. A failed build is a message, not an error. */
  build(
    options: buildV1.BuildOptions,
    contextTar: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ): AsyncIterable<buildV1.BuildResponse>;
  pruneBuildCache(signal: AbortSignal): Promise<{ readonly removed: readonly string[]; readonly reclaimed: number }>;
}

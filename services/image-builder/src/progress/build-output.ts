import type { imageV1 } from '@atoll/proto';

/** Where a build's text and pull progress go. Each call waits until there is room. */
export interface BuildOutput {
  text(text: string): Promise<void>;
  progress(progress: imageV1.Progress): Promise<void>;
}

import type { buildV1 } from '@atoll/proto';

/** A host that executes steps; every result's layer is in the registry when the call returns. */
export interface BuildHost {
  readonly id: string;
  readonly name: string;
  run(
    request: buildV1.RunStepRequest,
    onOutput: (output: buildV1.StepOutput) => Promise<void>,
    signal: AbortSignal,
  ): Promise<buildV1.StepResult>;
  /** @param data the tar, undefined when the step copies from layers */
  copy(
    start: buildV1.CopyStepStart,
    data: AsyncIterable<Buffer> | undefined,
    signal: AbortSignal,
  ): Promise<buildV1.StepResult>;
  makeDirectory(request: buildV1.MakeDirectoryRequest, signal: AbortSignal): Promise<buildV1.StepResult>;
  /** Digest of the named paths' content in an image, for the cache. Not-found when one is missing. */
  digestPaths(request: buildV1.DigestPathsRequest, signal: AbortSignal): Promise<string>;
}

/** Chooses hosts: the scheduler. */
export interface HostPlacer {
  /** @param avoid ids of hosts that are busy with this build already; used only when no other fits */
  place(constraints: readonly string[], avoid: readonly string[], signal: AbortSignal): Promise<BuildHost>;
}

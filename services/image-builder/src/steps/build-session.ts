import type { Dockerfile } from '@atoll/dockerfile';
import type { buildV1 } from '@atoll/proto';
import type { BuildContext } from '../context/load-context.ts';
import type { StageGraph } from '../graph/stage-graph.ts';
import type { PlatformFields } from '../image/stage-state.ts';
import type { BuildArgs } from './build-args.ts';
import type { HostPlacer } from './build-host.ts';
import type { ImageSource } from './image-source.ts';
import type { LayerKeeper } from './layer-keeper.ts';
import type { OneAtATime } from './one-at-a-time.ts';
import type { StepCache } from './step-cache.ts';

/** What the stages of one build share. */
export interface BuildSession {
  readonly id: string;
  readonly options: buildV1.BuildOptions;
  readonly dockerfile: Dockerfile;
  readonly graph: StageGraph;
  readonly args: BuildArgs;
  readonly context: BuildContext;
  readonly platform: PlatformFields;
  /** Unix seconds of SOURCE_DATE_EPOCH, 0 = the clock's time. */
  readonly sourceDateEpoch: number;
  readonly maxArchiveBytes: number;
  readonly hosts: HostPlacer;
  /** Ids of the hosts that stages of this build are working on now, once for each stage. */
  readonly busyHosts: string[];
  readonly placing: OneAtATime;
  readonly images: ImageSource;
  readonly cache: StepCache;
  readonly layers: LayerKeeper;
  readonly signal: AbortSignal;
}

/** RFC 3339 time for what is created now. */
export function timestamp(session: BuildSession): string {
  const { sourceDateEpoch } = session;
  return (sourceDateEpoch > 0 ? new Date(sourceDateEpoch * 1000) : new Date()).toISOString();
}

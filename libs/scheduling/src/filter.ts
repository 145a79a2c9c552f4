import type { NodeInfo } from './node-info.ts';
import type { PlacementRequest } from './request.ts';

/** A rule a host has to pass. Refusing is an answer, not an error. */
export interface Filter {
  /** Why the host does not fit, or undefined when it does. Runs for every host and request: allocates nothing. */
  refuse(node: NodeInfo, request: PlacementRequest): Refusal | undefined;
}

/**
 * Why hosts were refused. `one` and `many` complete "1 …" and "2 …"; what depends on the request or on all refused hosts is
 * added by `detail` when the sentence is made.
 */
export interface Refusal {
  readonly one: string;
  readonly many: string;
  detail?(request: PlacementRequest, refused: readonly NodeInfo[]): string;
}

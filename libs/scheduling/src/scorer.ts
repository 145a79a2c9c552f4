import type { NodeInfo } from './node-info.ts';
import type { PlacementRequest } from './request.ts';

/** How well a host that fits is suited: the higher the better, between 0 and 1. */
export type Scorer = (node: NodeInfo, request: PlacementRequest) => number;

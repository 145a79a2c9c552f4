import type { Constraint } from './constraint.ts';
import type { Claim } from './node-info.ts';

/** What is to be placed. */
export interface PlacementRequest {
  readonly claim: Claim;
  readonly constraints: readonly Constraint[];
  /** Nodes to use only when no other fits. */
  readonly avoid?: ReadonlySet<string>;
}

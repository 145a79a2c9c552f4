import type { Constraint } from './constraint.ts';
import type { Claim } from './node-info.ts';

/** What is to be placed. */
export interface PlacementRequest {
  readonly claim: Claim;
  readonly constraints: readonly Constraint[];
  /** The runtime that has to be there; empty or absent: the one every host has. */
  readonly runtime?: string;
  /** Why it cannot run in a user namespace, see `needsHostUsers`. */
  readonly hostUsers?: string | undefined;
  /** Name of an encrypted network it is to be in. */
  readonly encrypted?: string | undefined;
  /** Name of an AppArmor profile it is to run under. */
  readonly apparmor?: string | undefined;
  /** What it stores beside its volumes has a limit. */
  readonly limitsStorage?: boolean;
  /** Options for an SELinux label it is to have, as given. */
  readonly selinux?: string | undefined;
  /** Nodes to use only when no other fits. */
  readonly avoid?: ReadonlySet<string>;
}

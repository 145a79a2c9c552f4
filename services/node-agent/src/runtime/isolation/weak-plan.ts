import { CAPABILITY_NAMES, capabilitySets } from '../capabilities.ts';
import { defaultMounts } from '../default-mounts.ts';
import type { PlanChanges } from '../testing/test-host.ts';

/** A plan without any of the walls: what the attacks are shown to work against. */
export const WEAK_PLAN = {
  process: { capabilities: capabilitySets(CAPABILITY_NAMES), seccomp: undefined },
  plan: {
    mounts: defaultMounts({ privileged: true, shmBytes: 1 << 20 }),
    maskedPaths: [],
    readonlyPaths: [],
  },
} as const satisfies PlanChanges;

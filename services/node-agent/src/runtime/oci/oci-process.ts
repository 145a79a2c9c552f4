import { CAPABILITY_NAMES } from '../capabilities.ts';
import type { CapabilitySets, ProcessPlan } from '../plan.ts';

/** A user as numbers: an OCI runtime looks nothing up. */
export interface NumericUser {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary ones. */
  readonly groups: readonly number[];
}

const UNLIMITED = 2n ** 64n - 1n;

/** A process of an OCI config, also what `exec --process` of a runtime reads. */
export function ociProcess(plan: ProcessPlan, user: NumericUser): Record<string, unknown> {
  const { tty } = plan;
  const bytes = (value: bigint): bigint => (value < 0n ? UNLIMITED : value);
  return {
    terminal: tty !== undefined,
    ...(tty && (tty.rows > 0 || tty.cols > 0) ? { consoleSize: { height: tty.rows, width: tty.cols } } : {}),
    user: {
      uid: user.uid,
      gid: user.gid,
      additionalGids: user.groups,
      ...(plan.umask === undefined ? {} : { umask: plan.umask }),
    },
    args: plan.argv,
    env: plan.env,
    cwd: plan.cwd,
    capabilities: ociCapabilities(plan.capabilities),
    rlimits: plan.rlimits.map(({ name, soft, hard }) => ({
      type: `RLIMIT_${name.toUpperCase()}`,
      soft: bytes(soft),
      hard: bytes(hard),
    })),
    noNewPrivileges: plan.noNewPrivileges,
    ...(plan.apparmor === undefined ? {} : { apparmorProfile: plan.apparmor }),
    ...(plan.selinux === undefined ? {} : { selinuxLabel: plan.selinux }),
    // Always said: what is started by the supervisor would have its score.
    oomScoreAdj: plan.oomScoreAdj ?? 0,
  };
}

function ociCapabilities(sets: CapabilitySets): Record<string, readonly string[]> {
  const names = (bits: bigint): readonly string[] =>
    CAPABILITY_NAMES.filter((_, number) => (bits >> BigInt(number)) & 1n).map((name) => `CAP_${name}`);
  const { bounding, permitted, effective, inheritable, ambient } = sets;
  return {
    bounding: names(bounding),
    permitted: names(permitted),
    effective: names(effective),
    inheritable: names(inheritable),
    ambient: names(ambient),
  };
}

import { containerV1 } from '@atoll/proto';
import type { BundleFile } from '../runtime/launch-shim.ts';
import { ociConfig } from '../runtime/oci/oci-config.ts';
import type { NumericUser } from '../runtime/oci/oci-process.ts';
import { ociDefaultSeccomp, ociProfileSeccomp } from '../runtime/oci/oci-seccomp.ts';
import type { ContainerPlan, UserPlan } from '../runtime/plan.ts';
import type { RootSpec, ShimTools } from '../runtime/shim-tools.ts';
import { capabilityNames } from './process-plan.ts';

export interface OciBundleInput {
  readonly bundle: string;
  readonly plan: ContainerPlan;
  readonly spec: containerV1.ContainerSpec;
  readonly tools: ShimTools;
}

/** The file that makes a container's folder an OCI bundle. */
export async function ociBundleFile(input: OciBundleInput, signal: AbortSignal): Promise<BundleFile> {
  const { bundle, plan, spec, tools } = input;
  const user = await numericUser(plan.process.user, imageRoot(plan), tools, signal);
  const details = { bundle, user, seccomp: seccompOf(spec), annotations: spec.annotations };
  return { name: 'config.json', mode: 0o600, bytes: ociConfig(plan, details) };
}

/** What the native runtime looks up itself, in the container's own passwd and group files. */
export async function numericUser(
  user: UserPlan,
  root: RootSpec,
  tools: ShimTools,
  signal: AbortSignal,
): Promise<NumericUser> {
  if (user.kind === 'ids') return { uid: user.uid, gid: user.gid, groups: user.groups ?? [] };
  return await tools.resolveGroups(root, user.user, user.additionalGroups ?? [], signal);
}

function imageRoot({ root }: ContainerPlan): RootSpec {
  return root.kind === 'overlay'
    ? { kind: 'overlay', lowers: root.lowers, upper: root.upper, work: root.work }
    : { kind: 'directory', path: root.path };
}

/** As `seccompOf` of the process plan decides, in OCI's form. */
function seccompOf(spec: containerV1.ContainerSpec): unknown {
  const security = spec.security ?? containerV1.Security.fromPartial({});
  const capabilities = capabilityNames(security);
  if (security.seccompProfile) return ociProfileSeccomp(security.seccompProfile, capabilities);
  return security.privileged || security.seccompUnconfined ? undefined : ociDefaultSeccomp(capabilities);
}

import { release } from 'node:os';
import { invalidArgument } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import { CAPABILITY_NAMES, type CapabilityName, capabilitySets, resolveCapabilities } from '../runtime/capabilities.ts';
import type { CapabilitySets, ProcessPlan } from '../runtime/plan.ts';
import { profileProgram } from '../runtime/seccomp/profile-program.ts';
import { guardProject } from '../runtime/seccomp/project-guard.ts';
import type { PlanHost } from './container-plan.ts';
import { linkEnvironment } from './links.ts';
import { processEnvironment } from './process-environment.ts';
import { rlimitsOf } from './rlimits.ts';
import { isNative } from './runtimes.ts';

/** The first process of a container, fully resolved. Throws invalid-argument. */
export function containerPlanProcess(spec: containerV1.ContainerSpec, hostname: string, host: PlanHost): ProcessPlan {
  const process = spec.process ?? containerV1.Process.fromPartial({});
  const security = spec.security ?? containerV1.Security.fromPartial({});
  const argv = [...process.entrypoint, ...process.cmd];
  if (argv.length === 0) throw invalidArgument('no command specified');
  const capabilities = capabilityNames(security);
  // Another runtime installs its own, from the bundle, on top of what it inherits.
  const program = seccompOf(security, capabilities, host);
  return {
    argv,
    env: processEnvironment([...linkEnvironment(spec, host.find), ...process.env], hostname, process.tty),
    cwd: process.cwd === '' ? '/' : process.cwd,
    user: { kind: 'docker', user: process.user, additionalGroups: security.groupAdd },
    tty: process.tty ? { rows: process.consoleHeight, cols: process.consoleWidth } : undefined,
    stdin: process.openStdin ? (process.stdinOnce ? 'once' : 'open') : 'null',
    rlimits: rlimitsOf(spec.ulimits),
    capabilities: within(capabilitySets(capabilities), host.capabilities),
    noNewPrivileges: security.noNewPrivileges,
    seccomp: guarded(spec, host, isNative(spec) ? program : undefined),
    apparmor: host.apparmor.profileOf(security),
    oomScoreAdj: security.oomScoreAdj === 0 ? undefined : security.oomScoreAdj,
  };
}

/** What a container may have, before what the agent itself has is looked at. Throws invalid-argument. */
export function capabilityNames(security: containerV1.Security): ReadonlySet<CapabilityName> {
  return security.privileged ? new Set(CAPABILITY_NAMES) : resolveCapabilities(security.capAdd, security.capDrop);
}

/** A profile of the user's own holds for privileged containers too; Docker's default policy does not. */
function seccompOf(
  { seccompProfile, seccompUnconfined, privileged }: containerV1.Security,
  capabilities: ReadonlySet<CapabilityName>,
  host: PlanHost,
): Uint8Array | undefined {
  if (seccompProfile) return profileProgram(seccompProfile, capabilities, release());
  return privileged || seccompUnconfined ? undefined : host.seccomp(capabilities);
}

/**
 * With a limit of storage files stay in their project. In a user namespace the kernel itself refuses to move them; a privileged
 * container can do anything, also raise the limit.
 */
function guarded(
  { resources, usernsMode, security }: containerV1.ContainerSpec,
  { remap }: PlanHost,
  program: Uint8Array | undefined,
): Uint8Array | undefined {
  const own = remap !== undefined && usernsMode !== 'host';
  return (resources?.storageLimit ?? 0n) === 0n || own || security?.privileged ? program : guardProject(program);
}

/** Nobody can give what he does not have: the agent may itself run with fewer than all. */
function within(sets: CapabilitySets, available: bigint): CapabilitySets {
  return {
    bounding: sets.bounding & available,
    permitted: sets.permitted & available,
    effective: sets.effective & available,
    inheritable: sets.inheritable & available,
    ambient: sets.ambient & available,
  };
}

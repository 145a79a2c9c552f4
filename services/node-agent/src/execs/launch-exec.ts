import { containerV1, type runtimeV1 } from '@atoll/proto';
import type { Container } from '../containers/container.ts';
import { cgroupPathOf, hostnames, type PlanHost } from '../containers/container-plan.ts';
import { numericUser } from '../containers/oci-bundle.ts';
import { runtimePath } from '../containers/runtimes.ts';
import { execShim, type StartedExec } from '../runtime/exec-shim.ts';
import { firstProcess } from '../runtime/first-process.ts';
import { ociJson } from '../runtime/oci/oci-json.ts';
import { ociProcess } from '../runtime/oci/oci-process.ts';
import type { TerminalSize } from '../runtime/plan.ts';
import type { ShimSpawner } from '../runtime/shim-spawner.ts';
import type { ShimTools } from '../runtime/shim-tools.ts';
import { execPlan } from './exec-plan.ts';

/** What runs programs in containers of this host. */
export interface ExecHost {
  readonly spawner: ShimSpawner;
  readonly tools: ShimTools;
  readonly host: PlanHost;
}

/** Runs a program in a running container; resolves once it runs. Throws with `details.exitCode` when it cannot. */
export async function launchExec(
  { spawner, tools, host }: ExecHost,
  container: Container,
  exec: { readonly id: string; readonly spec: runtimeV1.ExecSpec; readonly console: TerminalSize },
  signal: AbortSignal,
): Promise<StartedExec> {
  const target = await firstProcess(container.bundle);
  const security = container.record.spec?.security ?? containerV1.Security.fromPartial({});
  const apparmor = await host.apparmor.profileBeside(target.pid, security);
  await host.apparmor.ready(apparmor);
  const plan = execPlan(
    {
      ...exec,
      apparmor,
      selinux: container.status.processLabel || undefined,
      record: container.record,
      target,
      hostname: hostnames(container.record, host).hostname,
      cgroupPath: cgroupPathOf(container.record, host),
    },
    host,
  );
  const path = runtimePath(container.record.spec ?? { runtime: '' }, host.runtimes);
  if (path === undefined) return await execShim(spawner, plan, signal);
  const user = await numericUser(plan.process.user, { kind: 'process', process: target }, tools, signal);
  const process = ociJson(ociProcess(plan.process, user));
  const runtime = { path, bundle: container.bundle, container: container.id, process };
  return await execShim(spawner, { ...plan, runtime }, signal);
}

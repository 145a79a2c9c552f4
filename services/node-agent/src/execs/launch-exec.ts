import type { runtimeV1 } from '@atoll/proto';
import type { Container } from '../containers/container.ts';
import { cgroupPathOf, hostnames, type PlanHost } from '../containers/container-plan.ts';
import { execShim, type StartedExec } from '../runtime/exec-shim.ts';
import { firstProcess } from '../runtime/first-process.ts';
import type { TerminalSize } from '../runtime/plan.ts';
import type { ShimSpawner } from '../runtime/shim-spawner.ts';
import { execPlan } from './exec-plan.ts';

/** What runs programs in containers of this host. */
export interface ExecHost {
  readonly spawner: ShimSpawner;
  readonly host: PlanHost;
}

/** Runs a program in a running container; resolves once it runs. Throws with `details.exitCode` when it cannot. */
export async function launchExec(
  { spawner, host }: ExecHost,
  container: Container,
  exec: { readonly id: string; readonly spec: runtimeV1.ExecSpec; readonly console: TerminalSize },
  signal: AbortSignal,
): Promise<StartedExec> {
  const plan = execPlan(
    {
      ...exec,
      record: container.record,
      target: await firstProcess(container.bundle),
      hostname: hostnames(container.record, host).hostname,
      cgroupPath: cgroupPathOf(container.record, host),
    },
    host,
  );
  return await execShim(spawner, plan, signal);
}

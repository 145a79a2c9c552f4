import { invalidArgument } from '@atoll/errors';
import { containerV1, type runtimeV1 } from '@atoll/proto';
import type { PlanHost } from '../containers/container-plan.ts';
import { linkEnvironment } from '../containers/links.ts';
import { processEnvironment } from '../containers/process-environment.ts';
import { containerPlanProcess } from '../containers/process-plan.ts';
import type { ExecPlan, ProcessIdentity, TerminalSize } from '../runtime/plan.ts';

export interface ExecPlanInput {
  readonly id: string;
  readonly spec: runtimeV1.ExecSpec;
  readonly record: containerV1.ContainerRecord;
  readonly target: ProcessIdentity;
  readonly hostname: string;
  readonly cgroupPath: string;
  readonly console: TerminalSize;
  /** Of the container's own process; `docker exec --privileged` changes nothing about it. */
  readonly apparmor: string | undefined;
  /** The same of its SELinux label. */
  readonly selinux: string | undefined;
}

/** An exec as the shim runs it: the container's own process with what the exec says otherwise. */
export function execPlan(input: ExecPlanInput, host: PlanHost): ExecPlan {
  const { spec, record, hostname } = input;
  if (spec.argv.length === 0) throw invalidArgument('No exec command specified');
  const container = record.spec ?? containerV1.ContainerSpec.fromPartial({});
  const security = container.security ?? containerV1.Security.fromPartial({});
  const own = containerPlanProcess(
    { ...container, security: { ...security, privileged: security.privileged || spec.privileged } },
    hostname,
    host,
  );
  return {
    id: input.id,
    process: {
      ...own,
      apparmor: input.apparmor,
      selinux: input.selinux,
      argv: spec.argv,
      env: processEnvironment(
        [...linkEnvironment(container, host.find), ...(container.process?.env ?? []), ...spec.env],
        hostname,
        spec.tty,
      ),
      cwd: spec.cwd === '' ? own.cwd : spec.cwd,
      user: spec.user === '' ? own.user : { kind: 'docker', user: spec.user, additionalGroups: security.groupAdd },
      tty: spec.tty ? input.console : undefined,
      stdin: spec.attachStdin ? 'once' : 'null',
    },
    target: input.target,
    cgroupPath: input.cgroupPath,
  };
}

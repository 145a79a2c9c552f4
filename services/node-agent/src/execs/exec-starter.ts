import { readFile } from 'node:fs/promises';
import { conflict } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import { containerV1, eventV1, type runtimeV1 } from '@atoll/proto';
import type { Container } from '../containers/container.ts';
import type { ContainerManager } from '../containers/container-manager.ts';
import { cgroupPathOf, hostnames, type PlanHost } from '../containers/container-plan.ts';
import { startExitCode, startFailure } from '../containers/start-failure.ts';
import { bundlePath } from '../runtime/bundle.ts';
import { execShim } from '../runtime/exec-shim.ts';
import type { ProcessIdentity, TerminalSize } from '../runtime/plan.ts';
import type { ProcessSession } from '../runtime/process-session.ts';
import { execPlan } from './exec-plan.ts';
import type { Exec, ExecRegistry } from './exec-registry.ts';

const S = containerV1.ContainerState;

export interface ExecStarterOptions {
  readonly shim: string;
  readonly containers: ContainerManager;
  readonly registry: ExecRegistry;
  readonly host: PlanHost;
  readonly logger: Logger;
  readonly onEvent: (event: eventV1.Event) => void;
}

/** Runs further programs in running containers. */
export class ExecStarter {
  readonly #options: ExecStarterOptions;

  constructor(options: ExecStarterOptions) {
    this.#options = options;
  }

  /** Throws not-found, or conflict when the container does not run. */
  create(containerId: string, spec: runtimeV1.ExecSpec): Exec {
    const container = this.#options.containers.get(containerId);
    requireRunning(container);
    const exec = this.#options.registry.create(containerId, spec);
    this.#event(container, `exec_create: ${spec.argv.join(' ')}`, exec, {});
    return exec;
  }

  /** Resolves once the program runs; the exit code is noted when it ends. Throws conflict when it was started before. */
  async start(exec: Exec, console: TerminalSize, signal: AbortSignal): Promise<ProcessSession> {
    const { containers, registry, shim, host } = this.#options;
    if (exec.state === 'ended') throw conflict(`exec ${exec.id} has already run`);
    if (exec.state !== 'created') throw conflict(`exec ${exec.id} has already started`);
    const container = containers.get(exec.containerId);
    requireRunning(container);
    exec.state = 'starting';
    try {
      const plan = execPlan(
        {
          id: exec.id,
          spec: exec.spec,
          record: container.record,
          target: await initOf(container.bundle),
          hostname: hostnames(container.record, host).hostname,
          cgroupPath: cgroupPathOf(container.id, host),
          console,
        },
        host,
      );
      const { session, pid } = await execShim(shim, plan, signal);
      exec.state = 'running';
      exec.session = session;
      exec.pid = pid;
      this.#event(container, `exec_start: ${exec.spec.argv.join(' ')}`, exec, {});
      session.exit.then(
        ({ code }) => this.#ended(container, exec, code),
        () => this.#ended(container, exec, 137),
      );
      return session;
    } catch (error) {
      registry.ended(exec, startExitCode(error));
      throw startFailure(error);
    }
  }

  #ended(container: Container, exec: Exec, code: number): void {
    this.#options.registry.ended(exec, code);
    this.#event(container, 'exec_die', exec, { exitCode: String(code) });
  }

  #event(container: Container, action: string, exec: Exec, extra: Readonly<Record<string, string>>): void {
    const { record } = container;
    const attributes = {
      ...record.spec?.labels,
      name: record.spec?.name ?? '',
      image: record.spec?.image?.reference ?? '',
      execID: exec.id,
      ...extra,
    };
    this.#options.onEvent(
      eventV1.Event.fromPartial({
        type: 'container',
        action,
        actorId: container.id,
        attributes,
        timeNs: BigInt(Date.now()) * 1_000_000n,
        nodeId: record.nodeId,
      }),
    );
  }
}

function requireRunning({ id, status }: Container): void {
  if (status.state === S.PAUSED) throw conflict(`container ${id} is paused, unpause the container before exec`);
  if (status.state === S.RESTARTING) {
    throw conflict(`container ${id} is restarting, wait until the container is running`);
  }
  if (status.state !== S.RUNNING) throw conflict(`container ${id} is not running`);
}

async function initOf(bundle: string): Promise<ProcessIdentity> {
  const [pid = '', startTicks = ''] = (await readFile(bundlePath(bundle, 'init'), 'utf8')).trim().split(' ');
  return { pid: Number(pid), startTicks: BigInt(startTicks) };
}

import { conflict } from '@atoll/errors';
import { containerV1, type eventV1, type runtimeV1 } from '@atoll/proto';
import type { Container } from '../containers/container.ts';
import { containerEvent } from '../containers/container-event.ts';
import type { ContainerManager } from '../containers/container-manager.ts';
import type { TerminalSize } from '../runtime/plan.ts';
import type { ProcessSession } from '../runtime/process-session.ts';
import { execExitCode, execFailure } from './exec-failure.ts';
import type { Exec, ExecRegistry } from './exec-registry.ts';
import { type ExecHost, launchExec } from './launch-exec.ts';

const S = containerV1.ContainerState;

export interface ExecStarterOptions extends ExecHost {
  readonly containers: ContainerManager;
  readonly registry: ExecRegistry;
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
    this.#event(container, `exec_create: ${spec.argv.join(' ')}`, exec);
    return exec;
  }

  /** Resolves once the program runs; the exit code is noted when it ends. Throws conflict when it was started before. */
  async start(exec: Exec, console: TerminalSize, signal: AbortSignal): Promise<ProcessSession> {
    const { containers, registry } = this.#options;
    if (exec.state === 'ended') throw conflict(`exec ${exec.id} has already run`);
    if (exec.state !== 'created') throw conflict(`exec ${exec.id} has already started`);
    const container = containers.get(exec.containerId);
    requireRunning(container);
    exec.state = 'starting';
    try {
      const { session, pid } = await launchExec(this.#options, container, { ...exec, console }, signal);
      void registry.started(exec, pid, session);
      this.#event(container, `exec_start: ${exec.spec.argv.join(' ')}`, exec);
      session.exit.then(
        ({ code }) => this.#ended(container, exec, code),
        () => this.#ended(container, exec, 137),
      );
      return session;
    } catch (error) {
      registry.ended(exec, execExitCode(error));
      throw execFailure(error);
    }
  }

  #ended(container: Container, exec: Exec, code: number): void {
    this.#options.registry.ended(exec, code);
    this.#event(container, 'exec_die', exec, { exitCode: String(code) });
  }

  #event(container: Container, action: string, exec: Exec, extra: Readonly<Record<string, string>> = {}): void {
    this.#options.onEvent(containerEvent(container, action, { execID: exec.id, ...extra }));
  }
}

function requireRunning({ id, status }: Container): void {
  if (status.state === S.PAUSED) throw conflict(`container ${id} is paused, unpause the container before exec`);
  if (status.state === S.RESTARTING) {
    throw conflict(`container ${id} is restarting, wait until the container is running`);
  }
  if (status.state !== S.RUNNING) throw conflict(`container ${id} is not running`);
}

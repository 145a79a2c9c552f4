import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@atoll/logging';
import { containerV1, type eventV1, runtimeV1 } from '@atoll/proto';
import type { Container } from '../containers/container.ts';
import { containerEvent } from '../containers/container-event.ts';
import type { ContainerManager } from '../containers/container-manager.ts';
import { type ExecHost, launchExec } from '../execs/launch-exec.ts';
import { afterProbe, type HealthRules, type HealthState, healthRules, probeDelay } from './health-rules.ts';

export interface HealthMonitorOptions extends ExecHost {
  readonly containers: ContainerManager;
  readonly onEvent: (event: eventV1.Event) => void;
  readonly logger: Logger;
}

const SIZE = { rows: 0, cols: 0 };

/** Probes containers that have a health check as long as they run. */
export class HealthMonitor {
  readonly #options: HealthMonitorOptions;
  readonly #watched = new Map<string, bigint>();
  #forget: (() => void) | undefined;
  readonly #life = new AbortController();

  constructor(options: HealthMonitorOptions) {
    this.#options = options;
  }

  start(): void {
    const { containers } = this.#options;
    this.#forget = containers.listen((status) => this.#see(status));
    for (const { status } of containers.list()) this.#see(status);
  }

  stop(): void {
    this.#forget?.();
    this.#life.abort();
  }

  /** One watch for each run: a run is told by the time it began. */
  #see({ id, state, startedAtNs }: containerV1.ContainerStatus): void {
    if (state !== containerV1.ContainerState.RUNNING || this.#watched.get(id) === startedAtNs) return;
    const container = this.#options.containers.find(id);
    const rules = healthRules(container?.record.spec?.healthcheck);
    if (!container || !rules) return;
    this.#watched.set(id, startedAtNs);
    this.#watch(container, rules, startedAtNs)
      .catch((error: unknown) => this.#options.logger.warn({ container: id, err: error }, 'a health check has failed'))
      .finally(() => {
        if (this.#watched.get(id) === startedAtNs) this.#watched.delete(id);
      });
  }

  async #watch(container: Container, rules: HealthRules, startedAtNs: bigint): Promise<void> {
    const signal = AbortSignal.any([container.ended, this.#life.signal]);
    const ran = (): number => Date.now() - Number(startedAtNs / 1_000_000n);
    const known = container.status.health;
    let state: HealthState = { health: known === 'healthy' || known === 'unhealthy' ? known : 'starting', failures: 0 };
    await container.noteHealth(state.health);
    while (!signal.aborted) {
      await sleep(probeDelay(rules, state, ran()), undefined, { signal }).catch(() => undefined);
      if (signal.aborted || container.status.state !== containerV1.ContainerState.RUNNING) continue;
      const succeeded = await this.#probe(container, rules, signal);
      if (signal.aborted) return;
      const next = afterProbe(rules, state, succeeded, ran());
      if (next.health !== state.health) {
        await container.noteHealth(next.health);
        this.#options.onEvent(containerEvent(container, `health_status: ${next.health}`));
      }
      state = next;
    }
  }

  async #probe(container: Container, rules: HealthRules, signal: AbortSignal): Promise<boolean> {
    const spec = runtimeV1.ExecSpec.fromPartial({ argv: [...rules.argv], attachStdout: true, attachStderr: true });
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(rules.timeoutMs)]);
    try {
      const exec = { id: randomBytes(32).toString('hex'), spec, console: SIZE };
      const { session, pid } = await launchExec(this.#options, container, exec, deadline);
      const kill = (): void => {
        killQuietly(pid);
        session.close();
      };
      deadline.addEventListener('abort', kill, { once: true });
      try {
        for await (const _ of session.output()) deadline.throwIfAborted();
        return (await session.exit).code === 0;
      } finally {
        deadline.removeEventListener('abort', kill);
      }
    } catch {
      return false;
    }
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

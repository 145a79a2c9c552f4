import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { asAtollError } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import { containerV1, type eventV1, runtimeV1 } from '@atoll/proto';
import type { Container } from '../containers/container.ts';
import { containerEvent } from '../containers/container-event.ts';
import type { ContainerManager } from '../containers/container-manager.ts';
import { type ExecHost, launchExec } from '../execs/launch-exec.ts';
import { nowNs } from '../processes/clock.ts';
import { HealthLog, type ProbeResult, probeOutput } from './health-log.ts';
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
  readonly #logs = new Map<string, HealthLog>();
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

  /** What the probes of a container found; undefined before its first watch. */
  logOf(containerId: string): HealthLog | undefined {
    return this.#logs.get(containerId);
  }

  /** One watch for each run: a run is told by the time it began. */
  #see({ id, state, startedAtNs }: containerV1.ContainerStatus): void {
    if (state === containerV1.ContainerState.REMOVED) this.#logs.delete(id);
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
    const log = this.#logs.get(container.id) ?? new HealthLog();
    this.#logs.set(container.id, log);
    log.begin();
    await container.noteHealth(state.health);
    while (!signal.aborted) {
      await sleep(probeDelay(rules, state, ran()), undefined, { signal }).catch(() => undefined);
      if (signal.aborted || container.status.state !== containerV1.ContainerState.RUNNING) continue;
      const result = await this.#probe(container, rules, signal);
      if (signal.aborted) return;
      const next = afterProbe(rules, state, result.exitCode === 0, ran());
      log.add(result, next.failures);
      if (next.health !== state.health) {
        await container.noteHealth(next.health);
        this.#options.onEvent(containerEvent(container, `health_status: ${next.health}`));
      }
      state = next;
    }
  }

  async #probe(container: Container, rules: HealthRules, signal: AbortSignal): Promise<ProbeResult> {
    const spec = runtimeV1.ExecSpec.fromPartial({ argv: [...rules.argv], attachStdout: true, attachStderr: true });
    const late = AbortSignal.timeout(rules.timeoutMs);
    const deadline = AbortSignal.any([signal, late]);
    const startNs = nowNs();
    const output = probeOutput();
    const end = (exitCode: number, problem = ''): ProbeResult => {
      return { startNs, endNs: nowNs(), exitCode, output: output.text(problem) };
    };
    try {
      const exec = { id: randomBytes(32).toString('hex'), spec, console: SIZE };
      const { session, pid } = await launchExec(this.#options, container, exec, deadline);
      const kill = (): void => {
        killQuietly(pid);
        session.close();
      };
      deadline.addEventListener('abort', kill, { once: true });
      try {
        for await (const { data } of session.output()) {
          deadline.throwIfAborted();
          output.add(data);
        }
        deadline.throwIfAborted();
        return end((await session.exit).code);
      } finally {
        deadline.removeEventListener('abort', kill);
      }
    } catch (error) {
      return end(
        -1,
        late.aborted ? `Health check exceeded timeout (${rules.timeoutMs} ms)` : asAtollError(error).message,
      );
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

import { randomBytes } from 'node:crypto';
import { notFound, resourceExhausted } from '@atoll/errors';
import type { runtimeV1 } from '@atoll/proto';
import type { ProcessSession } from '../runtime/process-session.ts';

/** An exec: created, then started at most once, then ended. */
export interface Exec {
  readonly id: string;
  readonly containerId: string;
  readonly spec: runtimeV1.ExecSpec;
  state: 'created' | 'starting' | 'running' | 'ended';
  pid: number;
  exitCode: number | undefined;
  session: ProcessSession | undefined;
}

const LIMIT = 4_096;
/** Docker forgets an ended exec after five minutes, too. */
const KEEP_MS = 5 * 60_000;

/** The execs of this host; they end with the agent's memory of them, their processes do not. */
export class ExecRegistry {
  readonly #execs = new Map<string, Exec>();
  readonly #expiries = new Map<string, NodeJS.Timeout>();

  /** Throws resource-exhausted when too many are there. */
  create(containerId: string, spec: runtimeV1.ExecSpec): Exec {
    if (this.#execs.size >= LIMIT) this.#evict();
    const exec: Exec = {
      id: randomBytes(32).toString('hex'),
      containerId,
      spec,
      state: 'created',
      pid: 0,
      exitCode: undefined,
      session: undefined,
    };
    this.#execs.set(exec.id, exec);
    return exec;
  }

  /** Throws not-found. */
  get(id: string): Exec {
    const exec = this.#execs.get(id);
    if (!exec) throw notFound(`No such exec instance: ${id}`);
    return exec;
  }

  idsOf(containerId: string): readonly string[] {
    return [...this.#execs.values()].filter((exec) => exec.containerId === containerId).map(({ id }) => id);
  }

  ended(exec: Exec, exitCode: number): void {
    exec.state = 'ended';
    exec.exitCode = exitCode;
    exec.session = undefined;
    this.#expiries.set(exec.id, setTimeout(() => this.#forget(exec.id), KEEP_MS).unref());
  }

  forgetContainer(containerId: string): void {
    for (const id of this.idsOf(containerId)) {
      if (this.#execs.get(id)?.state !== 'running') this.#forget(id);
    }
  }

  #forget(id: string): void {
    clearTimeout(this.#expiries.get(id));
    this.#expiries.delete(id);
    this.#execs.delete(id);
  }

  /** Makes room by forgetting the oldest that nobody uses. */
  #evict(): void {
    for (const exec of this.#execs.values()) {
      if (exec.state !== 'created' && exec.state !== 'ended') continue;
      this.#forget(exec.id);
      return;
    }
    throw resourceExhausted(`this host runs ${LIMIT} execs already`);
  }
}

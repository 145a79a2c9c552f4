import type { ChildProcess } from 'node:child_process';
import { type StartedExec, spawnExecShim, startExec } from './exec-shim.ts';
import type { ExecPlan } from './plan.ts';

/** The next spare is made when a short exec is over, for the fork stops this process for milliseconds. */
const REFILL_MS = 50;

/**
 * Starts processes in running containers, with one shim waiting ready: to fork this process and to start and seal a shim takes
 * longer than everything an exec does after it. A spare that nobody needs costs 0.1 MiB and ends with this process.
 */
export class ExecShims {
  readonly #shim: string;
  #spare: ChildProcess | undefined;
  #refill: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(shim: string) {
    this.#shim = shim;
  }

  /** As `execShim`. */
  async start(plan: ExecPlan, signal: AbortSignal): Promise<StartedExec> {
    const child = this.#spare ?? spawnExecShim(this.#shim);
    this.#spare = undefined;
    try {
      return await startExec(child, plan, signal);
    } finally {
      clearTimeout(this.#refill);
      if (!this.#closed) this.#refill = setTimeout(() => this.#makeSpare(), REFILL_MS).unref();
    }
  }

  /** No spare is left or made after this. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#refill);
    this.#spare?.kill('SIGKILL');
    this.#spare = undefined;
  }

  #makeSpare(): void {
    // Of execs that overlap, an earlier one may have made it already.
    if (this.#spare) return;
    const spare = spawnExecShim(this.#shim);
    this.#spare = spare;
    const gone = (): void => {
      if (this.#spare === spare) this.#spare = undefined;
    };
    spare.once('exit', gone);
    spare.once('error', gone);
    for (const stream of [spare.stdin, spare.stdout]) stream?.once('error', gone);
  }
}

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { deadlineExceeded, failedPrecondition } from '@atoll/errors';
import { identifyProcess, type ProcessIdentity } from '@atoll/hosts';
import { ServiceLog } from './service-log.ts';

export interface ServiceDefinition {
  readonly name: string;
  readonly logFile: string;
  /** Starts the process with stdout and stderr on `log`. */
  launch(log: number): Promise<ChildProcess>;
  /** Asked again and again after a launch. */
  isReady(pid: number): Promise<boolean>;
  readonly readyTimeoutMs: number;
}

const BACKOFF_FIRST_MS = 200;
const BACKOFF_LAST_MS = 10_000;
/** A service that ran so long has recovered: the next failure starts with the short pause again. */
const STABLE_MS = 30_000;
const POLL_MS = 30;

/** One process that is kept running: started again with growing pauses when it dies, until `stop()`. */
export class SupervisedService {
  readonly name: string;
  readonly #definition: ServiceDefinition;
  readonly #changed: () => void;
  readonly #log: ServiceLog;
  readonly #end = new AbortController();
  #child: ChildProcess | undefined;
  #identity: ProcessIdentity | undefined;
  #ready = false;
  #restarts = 0;
  #keeper: Promise<void> | undefined;

  constructor(definition: ServiceDefinition, changed: () => void) {
    this.name = definition.name;
    this.#definition = definition;
    this.#changed = changed;
    this.#log = new ServiceLog(definition.logFile);
  }

  get process(): ProcessIdentity | undefined {
    return this.#identity;
  }
  get ready(): boolean {
    return this.#ready;
  }
  get restarts(): number {
    return this.#restarts;
  }

  /**
   * Returns when the service is ready.
   * Errors: failed-precondition with the last words of its log when it ends before, deadline-exceeded.
   */
  async start(): Promise<void> {
    const { child, ended } = await this.#launch();
    await this.#untilReady(child);
    this.#keeper = this.#keep(ended);
  }

  /** SIGTERM, and SIGKILL after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#end.abort();
    const child = this.#child;
    if (child && isRunning(child)) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await ended;
      clearTimeout(timer);
    }
    await this.#keeper;
    this.#set(false);
  }

  /** Ends the process the hard way; it is started again like after any other death. */
  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  limitLog(): Promise<void> {
    return this.#log.limit();
  }

  async #keep(first: Promise<void>): Promise<void> {
    let ended = first;
    let pause = BACKOFF_FIRST_MS;
    let startedAt = performance.now();
    const { signal } = this.#end;
    while (!signal.aborted) {
      await ended;
      this.#set(false);
      if (signal.aborted) return;
      pause = performance.now() - startedAt > STABLE_MS ? BACKOFF_FIRST_MS : Math.min(pause * 2, BACKOFF_LAST_MS);
      await sleep(pause, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      startedAt = performance.now();
      ended = this.#again();
    }
  }

  /** Starts it once more and returns when it has ended; a failed start is one that ended at once. */
  async #again(): Promise<void> {
    this.#restarts += 1;
    try {
      const { child, ended } = await this.#launch();
      await this.#untilReady(child).catch(() => void child.kill('SIGKILL'));
      return await ended;
    } catch {
      return undefined;
    }
  }

  async #launch(): Promise<{ readonly child: ChildProcess; readonly ended: Promise<void> }> {
    const child = await this.#log.withDescriptor((fd) => this.#definition.launch(fd));
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
    if (!child.pid) throw failedPrecondition(`${this.name} could not be started: ${child.spawnfile} is missing`);
    this.#child = child;
    this.#identity = await identifyProcess(child.pid);
    this.#changed();
    return { child, ended };
  }

  async #untilReady(child: ChildProcess): Promise<void> {
    const end = performance.now() + this.#definition.readyTimeoutMs;
    while (!(await this.#definition.isReady(child.pid ?? 0))) {
      if (!isRunning(child)) throw failedPrecondition(`${this.name} ended: ${await this.#why()}`);
      if (performance.now() > end) {
        child.kill('SIGKILL');
        throw deadlineExceeded(
          `${this.name} was not ready in ${this.#definition.readyTimeoutMs / 1000} s: ${await this.#why()}`,
        );
      }
      await sleep(POLL_MS);
    }
    this.#set(true);
  }

  async #why(): Promise<string> {
    return `${await this.#log.lastWords()} (log: ${this.#log.path})`;
  }

  #set(ready: boolean): void {
    this.#ready = ready;
    if (!ready) this.#identity = undefined;
    this.#changed();
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

import { randomBytes } from 'node:crypto';
import { dataLoss, notFound, resourceExhausted } from '@atoll/errors';
import { runtimeV1 } from '@atoll/proto';
import { startTicksOf } from '../processes/start-ticks.ts';
import type { ProcessSession } from '../runtime/process-session.ts';
import { ExecJournal, type JournalEntry } from './exec-journal.ts';

/** An exec: created, then started at most once, then ended; or lost, when it ended while no agent was there. */
export interface Exec {
  readonly id: string;
  readonly containerId: string;
  readonly spec: runtimeV1.ExecSpec;
  state: 'created' | 'starting' | 'running' | 'ended' | 'lost';
  pid: number;
  /** With the pid it names one process. */
  startTicks: string;
  exitCode: number | undefined;
  endedAtMs: number | undefined;
  /** Undefined for one that has outlived the agent that started it: nobody has its streams any more. */
  session: ProcessSession | undefined;
}

const LIMIT = 4_096;
const LIMIT_OF_CONTAINER = 512;
/** Docker forgets an ended exec after five minutes, too. */
const KEEP_MS = 5 * 60_000;

/** The execs of this host. What was started is also in the containers' folders, for the agent's next start. */
export class ExecRegistry {
  readonly #execs = new Map<string, Exec>();
  readonly #byContainer = new Map<string, Set<Exec>>();
  readonly #expiries = new Map<string, NodeJS.Timeout>();
  readonly #journal: ExecJournal;

  /** @param directory the folder of a container */
  constructor(directory: (containerId: string) => string) {
    this.#journal = new ExecJournal({ directory, entries: (containerId) => this.#entries(containerId) });
  }

  /** Takes over what the agent's earlier run has started in a container. */
  async recover(containerId: string): Promise<void> {
    for (const entry of await this.#journal.read(containerId)) {
      const keepMs = (entry.endedAtMs ?? Date.now()) + KEEP_MS - Date.now();
      if (keepMs <= 0) continue;
      const exec = this.#add(execOf(containerId, entry));
      if (exec.state === 'ended') this.#expire(exec, Math.min(keepMs, KEEP_MS));
      else await this.#look(exec);
    }
  }

  /** Throws resource-exhausted when too many are there. */
  create(containerId: string, spec: runtimeV1.ExecSpec): Exec {
    const own = this.#byContainer.get(containerId);
    if (own && own.size >= LIMIT_OF_CONTAINER && !this.#evict(own)) {
      throw resourceExhausted(
        `container ${containerId} runs ${LIMIT_OF_CONTAINER} execs already: wait for some to end, or stop them`,
      );
    }
    if (this.#execs.size >= LIMIT && !this.#evict(this.#execs.values())) {
      throw resourceExhausted(`this host runs ${LIMIT} execs already: wait for some to end, or stop them`);
    }
    return this.#add({
      id: randomBytes(32).toString('hex'),
      containerId,
      spec,
      state: 'created',
      pid: 0,
      startTicks: '',
      exitCode: undefined,
      endedAtMs: undefined,
      session: undefined,
    });
  }

  /** Throws not-found. */
  get(id: string): Exec {
    const exec = this.#execs.get(id);
    if (!exec) throw notFound(`No such exec instance: ${id}`);
    return exec;
  }

  /** Throws not-found; data-loss when it has ended and nobody knows how. */
  async inspect(id: string): Promise<Exec> {
    const exec = this.get(id);
    if (exec.state === 'running' && !exec.session) await this.#look(exec);
    if (exec.state === 'lost') {
      throw dataLoss(`the exit code of exec ${id} is not known: it ended after a restart of its host's agent`);
    }
    return exec;
  }

  /** Those that have not ended, as docker counts them. */
  idsOf(containerId: string): readonly string[] {
    const execs = [...(this.#byContainer.get(containerId) ?? [])];
    return execs.filter(({ state }) => state !== 'ended' && state !== 'lost').map(({ id }) => id);
  }

  async started(exec: Exec, pid: number, session: ProcessSession): Promise<void> {
    exec.state = 'running';
    exec.session = session;
    exec.pid = pid;
    exec.startTicks = (await startTicksOf(pid)) ?? '';
    // Without its start time nobody could recognise it again.
    this.#journal.changed(exec.containerId);
  }

  ended(exec: Exec, exitCode: number): void {
    exec.state = 'ended';
    exec.exitCode = exitCode;
    exec.endedAtMs = Date.now();
    exec.session = undefined;
    this.#expire(exec, KEEP_MS);
    this.#journal.changed(exec.containerId);
  }

  /** The container is gone. */
  forgetContainer(containerId: string): void {
    for (const exec of this.#byContainer.get(containerId) ?? []) this.#forget(exec);
    this.#journal.forget(containerId);
  }

  /** The agent ends. */
  async close(): Promise<void> {
    for (const expiry of this.#expiries.values()) clearTimeout(expiry);
    await this.#journal.flush();
  }

  /** Does an exec of an earlier agent still run? */
  async #look(exec: Exec): Promise<void> {
    if (exec.startTicks !== '' && (await startTicksOf(exec.pid)) === exec.startTicks) return;
    exec.state = 'lost';
    this.#expire(exec, KEEP_MS);
  }

  #add(exec: Exec): Exec {
    this.#execs.set(exec.id, exec);
    const own = this.#byContainer.get(exec.containerId) ?? new Set();
    this.#byContainer.set(exec.containerId, own.add(exec));
    return exec;
  }

  #expire(exec: Exec, ms: number): void {
    if (!this.#execs.has(exec.id)) return;
    this.#expiries.set(exec.id, setTimeout(() => this.#forget(exec), ms).unref());
  }

  #forget(exec: Exec): void {
    clearTimeout(this.#expiries.get(exec.id));
    this.#expiries.delete(exec.id);
    this.#execs.delete(exec.id);
    const own = this.#byContainer.get(exec.containerId);
    own?.delete(exec);
    if (own?.size === 0) this.#byContainer.delete(exec.containerId);
  }

  /** Makes room by forgetting the oldest that nobody uses. False when all are in use. */
  #evict(execs: Iterable<Exec>): boolean {
    for (const exec of execs) {
      if (exec.state === 'starting' || exec.state === 'running') continue;
      this.#forget(exec);
      return true;
    }
    return false;
  }

  #entries(containerId: string): readonly JournalEntry[] {
    const execs = [...(this.#byContainer.get(containerId) ?? [])];
    // One whose start time is still being read would be taken for ended by the next agent.
    const isKnown = ({ state, startTicks }: Exec): boolean =>
      state === 'ended' || (state === 'running' && startTicks !== '');
    return execs.filter(isKnown).map(entryOf);
  }
}

function entryOf({ id, spec, pid, startTicks, endedAtMs, exitCode }: Exec): JournalEntry {
  const { argv, user, tty, privileged, attachStdin, attachStdout, attachStderr, detachKeys } = spec;
  const shown = { argv, user, tty, privileged, attachStdin, attachStdout, attachStderr, detachKeys };
  return { id, ...shown, pid, startTicks, endedAtMs, exitCode };
}

function execOf(containerId: string, { id, pid, startTicks, endedAtMs, exitCode, ...spec }: JournalEntry): Exec {
  return {
    id,
    containerId,
    spec: runtimeV1.ExecSpec.fromPartial(spec),
    state: endedAtMs === undefined ? 'running' : 'ended',
    pid,
    startTicks,
    exitCode,
    endedAtMs,
    session: undefined,
  };
}

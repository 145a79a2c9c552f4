import { asAtollError, conflict, deadlineExceeded } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import { containerV1 } from '@atoll/proto';
import { WriteBehind } from '../files/write-behind.ts';
import { failpoint } from '../processes/failpoint.ts';
import { SerialQueue } from '../processes/serial-queue.ts';
import { CommitFreeze } from './commit-freeze.ts';
import { ContainerProcess } from './container-process.ts';
import type { ContainerRun } from './container-run.ts';
import { isActive } from './container-states.ts';
import type { Launcher } from './launcher.ts';
import { resourceLimits } from './resource-limits.ts';
import { SIGKILL, SIGTERM, signalNumber } from './signals.ts';
import type { StartHook } from './start-hooks.ts';
import type { StatusBook } from './status-book.ts';

const S = containerV1.ContainerState;
const KILL_WAIT_MS = 60_000;
const DEFAULT_STOP_SECONDS = 10;
const REQUEST_MS = 30_000;
/** A newer record is sent again by the scheduler anyway. */
const WRITE_BEHIND_MS = 200;

export interface ContainerOptions {
  readonly record: containerV1.ContainerRecord;
  readonly book: StatusBook;
  readonly launcher: Launcher;
  readonly logger: Logger;
  /** Does another container of this host, one that is to stay, use the volume? */
  readonly usedElsewhere: (volume: string) => boolean;
}

/**
 * One container on this host. What changes it runs in its queue, one after the other; only the wait of a stop for the process's
 * end is outside, so that a kill can overtake it.
 */
export class Container {
  readonly id: string;
  readonly book: StatusBook;
  readonly freeze: CommitFreeze;
  readonly #launcher: Launcher;
  readonly #logger: Logger;
  readonly #process: ContainerProcess;
  readonly #usedElsewhere: (volume: string) => boolean;
  readonly #queue = new SerialQueue();
  readonly #writes: WriteBehind;
  readonly #life = new AbortController();
  #record: containerV1.ContainerRecord;

  constructor(options: ContainerOptions) {
    this.id = options.record.id;
    this.book = options.book;
    this.#record = options.record;
    this.#launcher = options.launcher;
    this.#usedElsewhere = options.usedElsewhere;
    this.#logger = options.logger.child({ container: this.id.slice(0, 12) });
    this.#writes = new WriteBehind(() => this.#saveRecord(), WRITE_BEHIND_MS);
    this.#process = new ContainerProcess({
      book: options.book,
      launcher: options.launcher,
      logger: this.#logger,
      record: () => this.#record,
      enqueue: (task) => this.#enqueue(task),
      life: this.#life.signal,
    });
    this.freeze = new CommitFreeze({
      directory: this.bundle,
      state: () => this.book.state,
      pause: () => this.#process.pause(),
      thaw: () => this.#process.thaw(),
      inQueue: (task) => this.#queue.run(task),
    });
  }

  get record(): containerV1.ContainerRecord {
    return this.#record;
  }

  get status(): containerV1.ContainerStatus {
    return this.book.status;
  }

  /** The shim's folder of this container. */
  get bundle(): string {
    return this.#launcher.options.files.directory(this.id);
  }

  get logDirectory(): string {
    return this.#launcher.options.files.logs(this.id);
  }

  get upperDirectory(): string {
    return this.#launcher.options.files.upper(this.id);
  }

  /** What the container's own changes lie upon, top first. */
  get lowers(): readonly string[] {
    return [this.#launcher.options.initLayer, ...this.#process.lowers];
  }

  /** Aborted when the container is being removed: what reads its files reads only a part from then on. */
  get leaving(): AbortSignal {
    return this.#life.signal;
  }

  /** Aborted when the present process has ended; without a process, aborted already. */
  get ended(): AbortSignal {
    return isActive(this.status.state) ? this.#process.run.ended : AbortSignal.abort();
  }

  /** Is there a first process: one that runs, or one that was prepared and waits for the start? Asks after what is under way. */
  hasProcess(): Promise<boolean> {
    return this.#queue.run(async () => this.#process.active || this.#process.run.client !== undefined);
  }

  /** Prepares in the background; a failure is in the status, and the start tries again. */
  prepare(): void {
    this.#enqueue(async () => {
      try {
        await this.#process.prepare();
      } catch (error) {
        // Its shim makes its files; what could not be launched is to be found by the next agent too.
        await this.#launcher.options.files.create(this.#record);
        throw error;
      }
    });
  }

  recover(): Promise<void> {
    return this.#queue.run(() => this.#process.recover().then(() => this.freeze.recover()));
  }

  /** Takes over a record that is not older; it is written in the background. */
  adopt(record: containerV1.ContainerRecord): void {
    if (record.generation < this.#record.generation) return;
    this.book.follow(record.generation);
    this.#keep(record);
  }

  /** Tells which record is followed, where no other change will. */
  acknowledge(): void {
    this.#enqueue(async () => {
      if (this.book.behind) this.book.change({});
    });
  }

  /** False when it ran already. */
  start(): Promise<boolean> {
    return this.#queue.run(async () => {
      if (this.#process.active) return false;
      await this.#process.start();
      return true;
    });
  }

  /** False when it did not run. `seconds` -1 waits for ever, undefined as long as the container says. */
  stop(signal: string, seconds: number | undefined): Promise<boolean> {
    return this.#stop(signal, seconds, true);
  }

  async restart(signal: string, seconds: number | undefined): Promise<void> {
    await this.#stop(signal, seconds, false);
    await this.start();
  }

  /** A killing signal is waited for; with others the answer comes when the signal is sent. */
  async kill(signal: string): Promise<void> {
    const number = signal === '' ? SIGKILL : signalNumber(signal);
    const run = await this.#queue.run(async () => {
      if (!this.#process.active) {
        throw conflict(`cannot kill container: ${this.id}: container ${this.id} is not running`);
      }
      const own = this.#record.spec?.stopSignal ?? '';
      if (number === SIGKILL || own === '' || signalNumber(own) === number) await this.#restByUser();
      await this.#process.signal(number);
      return this.#process.run;
    });
    if (number === SIGKILL) await this.#waitSettled(run, KILL_WAIT_MS);
  }

  pause(): Promise<void> {
    return this.#queue.run(async () => {
      if (this.book.state === S.PAUSED) throw conflict(`container ${this.id} is already paused`);
      if (this.book.state !== S.RUNNING) throw conflict(`container ${this.id} is not running`);
      await this.#process.pause();
    });
  }

  unpause(): Promise<void> {
    return this.#queue.run(async () => {
      if (this.book.state !== S.PAUSED) throw conflict(`container ${this.id} is not paused`);
      await this.#process.unpause();
      await this.freeze.forget();
    });
  }

  /** Applies the limits of a newer record to what is prepared or runs. */
  async update(record: containerV1.ContainerRecord): Promise<void> {
    const limits = resourceLimits(record.spec?.resources, this.#launcher.options.host.swapAccounting);
    this.adopt(record);
    await this.#queue.run(async () => {
      await this.#process.run.client?.update(limits, AbortSignal.timeout(REQUEST_MS));
    });
  }

  /** Brings the links of what is prepared or runs to the endpoints of the present record. */
  async connect(): Promise<void> {
    await this.#queue.run(async () => {
      await this.#process.connect();
      if (this.book.behind) this.book.change({});
    });
  }

  /** Ends and deletes everything of the container; its files and, when asked, its anonymous volumes. */
  async remove(options: { readonly force: boolean; readonly volumes: boolean }): Promise<void> {
    if (this.#process.active && !options.force) {
      const name = this.#record.spec?.name || this.id;
      throw conflict(
        `cannot remove container "${name}": container is running: stop the container before removing or force remove`,
      );
    }
    // A preparation that fetches an image, or a start that hangs, must not hold up the removal.
    this.#life.abort(conflict(`container ${this.id} is being removed`));
    const run = await this.#queue.run(async () => {
      this.#process.cancelRestart();
      this.#process.rest();
      if (this.#process.active) await this.#process.signal(SIGKILL);
      return this.#process.run;
    });
    if (this.#process.active) await this.#waitSettled(run, KILL_WAIT_MS);
    await this.#queue.run(() => this.#delete(options.volumes));
  }

  /** What the health check says; nothing when the process has ended meanwhile. */
  noteHealth(health: string): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#process.active && this.status.health !== health) this.book.change({ health });
    });
  }

  /** See `ContainerProcess.whenPrepared`. */
  whenPrepared(hook: StartHook): Promise<() => void> {
    return this.#process.whenPrepared(hook);
  }

  /** Lets go of the container without touching it: the agent ends, the container goes on. */
  async detach(): Promise<void> {
    this.#process.detach();
    await Promise.all([this.#writes.flush(), this.book.flush()]);
  }

  async #stop(signal: string, seconds: number | undefined, final: boolean): Promise<boolean> {
    const spec = this.#record.spec;
    const number = signalNumber(signal || spec?.stopSignal || String(SIGTERM));
    const wait = seconds ?? Number(spec?.stopTimeout ?? DEFAULT_STOP_SECONDS);
    const run = await this.#queue.run(async () => {
      const waited = this.#process.cancelRestart();
      if (final) await this.#restByUser();
      else this.#process.rest();
      if (waited) this.book.change({ state: S.EXITED });
      failpoint('stop.1-kept');
      if (!this.#process.active) return undefined;
      await this.#process.signal(number);
      failpoint('stop.2-signalled');
      return this.#process.run;
    });
    if (!run) return false;
    if (wait < 0) {
      await run.settled;
      return true;
    }
    if (await run.settledWithin(wait * 1000)) return true;
    this.#logger.info({ seconds: wait }, 'the container did not stop in time and is killed');
    await this.#queue.run(async () => {
      if (!run.over) await this.#process.signal(SIGKILL);
    });
    await this.#waitSettled(run, KILL_WAIT_MS);
    return true;
  }

  /** A user wants it stopped: kept on disk, so that neither policy nor reboot starts it. */
  async #restByUser(): Promise<void> {
    this.#process.rest();
    const { STOPPED } = containerV1.DesiredState;
    if (this.#record.desired !== STOPPED) this.#keep({ ...this.#record, desired: STOPPED });
    await this.#writes.flush();
  }

  #keep(record: containerV1.ContainerRecord): void {
    this.#record = record;
    this.#writes.mark();
  }

  async #saveRecord(): Promise<void> {
    try {
      await this.#launcher.options.files.saveRecord(this.#record);
    } catch (error) {
      this.#logger.error({ err: error }, 'the record of the container cannot be written');
    }
  }

  async #waitSettled(run: ContainerRun, ms: number): Promise<void> {
    if (await run.settledWithin(ms)) return;
    throw deadlineExceeded(`tried to kill container ${this.id}, but it did not exit within ${ms / 1000} seconds`);
  }

  async #delete(volumes: boolean): Promise<void> {
    if (this.book.state === S.REMOVED) return;
    this.book.change({ state: S.REMOVING });
    failpoint('remove.1-marked');
    try {
      await this.#process.dismantle();
      failpoint('remove.2-dismantled');
      const { files, volumes: store } = this.#launcher.options;
      const anonymous = (this.#record.spec?.mounts ?? []).filter(
        (mount) => mount.type === 'volume' && mount.anonymous && !this.#usedElsewhere(mount.source),
      );
      if (volumes) await Promise.all(anonymous.map(({ source }) => store.remove(source)));
      await Promise.all([this.#writes.close(), this.book.close()]);
      await files.remove(this.id);
      failpoint('remove.3-gone');
    } catch (error) {
      this.book.change({ state: S.DEAD, error: asAtollError(error).message });
      throw error;
    }
    this.#process.releaseLayers();
    this.book.conclude();
  }

  #enqueue(task: () => Promise<void>): void {
    this.#queue.run(task).catch(async (error: unknown) => {
      const { message } = asAtollError(error);
      this.#logger.warn({ reason: message }, 'work on the container failed');
      if (this.#life.signal.aborted) return;
      const state = this.book.state === S.CREATING ? { state: S.CREATED } : {};
      await this.#queue.run(async () => this.book.change({ ...state, error: message })).catch(() => undefined);
    });
  }
}

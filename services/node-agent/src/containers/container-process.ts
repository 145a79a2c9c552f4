import { asAtollError, hasReason } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import { containerV1 } from '@atoll/proto';
import type { LayerLease } from '../images/layer-store.ts';
import { nowNs } from '../processes/clock.ts';
import { failpoint } from '../processes/failpoint.ts';
import type { ShimState } from '../runtime/shim-state.ts';
import { retainLayers } from './container-layers.ts';
import { ContainerRun } from './container-run.ts';
import { isActive } from './container-states.ts';
import { endpointStatus } from './endpoint-status.ts';
import { type ExitRecord, endOf, unknownExit } from './exit-record.ts';
import type { Launcher } from './launcher.ts';
import { needsNeighbours, neighbourDelay } from './neighbours.ts';
import { recognised } from './recognised.ts';
import { FIRST_DELAY_MS, restartDelay } from './restart-policy.ts';
import { RestartTimer } from './restart-timer.ts';
import { startExitCode, startFailure } from './start-failure.ts';
import { type StartHook, StartHooks } from './start-hooks.ts';
import type { StatusBook } from './status-book.ts';

const S = containerV1.ContainerState;
const REQUEST_MS = 30_000;

export interface ContainerProcessOptions {
  readonly book: StatusBook;
  readonly launcher: Launcher;
  readonly logger: Logger;
  readonly record: () => containerV1.ContainerRecord;
  /** Runs a task after those before it; its failure is the task's own business. */
  readonly enqueue: (task: () => Promise<void>) => void;
  /** Aborts when the container is being removed. */
  readonly life: AbortSignal;
}

/**
 * The process of one container through all its runs: prepared, started, ended, started again by its policy. Every method is
 * called from the container's queue, one at a time.
 */
export class ContainerProcess {
  readonly #options: ContainerProcessOptions;
  readonly #book: StatusBook;
  readonly #launcher: Launcher;
  readonly #hooks = new StartHooks();
  readonly #timer = new RestartTimer();
  #run = new ContainerRun();
  #lease: LayerLease | undefined;
  #policyRests = false;

  constructor(options: ContainerProcessOptions) {
    this.#options = options;
    this.#book = options.book;
    this.#launcher = options.launcher;
  }

  get run(): ContainerRun {
    return this.#run;
  }

  /** Folders of the image, top first; empty before the first preparation. */
  get lowers(): readonly string[] {
    return this.#lease?.directories ?? [];
  }

  get active(): boolean {
    return isActive(this.#book.state);
  }

  /** Calls before the next start, or now when the container is prepared. The function it gives withdraws. */
  async whenPrepared(hook: StartHook): Promise<() => void> {
    if (!this.#run.client) return this.#hooks.add(hook);
    await hook(this.#bundle);
    return () => undefined;
  }

  async prepare(): Promise<void> {
    // Namespaces of another container are those it has when this one starts.
    if (!needsNeighbours(this.#options.record().spec)) await this.#ensureLaunched();
    if (this.#book.state === S.CREATING) this.#book.change({ state: S.CREATED, error: '' });
  }

  /** Starts what is prepared, preparing it first. A failure is thrown and noted. */
  async start(): Promise<void> {
    this.#timer.reset();
    this.#policyRests = false;
    await this.#start(0);
  }

  async signal(number: number): Promise<void> {
    const own = (this.#options.record().spec?.pidMode ?? '') === '';
    const target = !own && number === 9 ? 'all' : 'init';
    await this.#run.send(number, target);
    // A frozen process gets a signal only once it thaws.
    if (this.#book.state === S.PAUSED && this.#policyRests) await this.thaw();
  }

  async pause(): Promise<void> {
    await this.#run.connection().pause(AbortSignal.timeout(REQUEST_MS));
    this.#book.change({ state: S.PAUSED });
  }

  async unpause(): Promise<void> {
    await this.#run.connection().unpause(AbortSignal.timeout(REQUEST_MS));
    this.#book.change({ state: S.RUNNING });
  }

  /** Unpauses what may have ended meanwhile, which is as good. */
  async thaw(): Promise<void> {
    await this.unpause().catch((error: unknown) => {
      if (!hasReason(error, 'unavailable')) throw error;
    });
  }

  /** Follows the endpoints of the record; does nothing without a process, whose next preparation will. */
  async connect(): Promise<void> {
    const run = this.#run;
    const { client, endpoint } = run;
    if (!client) return;
    const signal = AbortSignal.timeout(REQUEST_MS);
    run.endpoint = await this.#launcher.connect(this.#options.record(), client, endpoint, this.active, signal);
    if (run.endpoint?.address !== endpoint?.address) this.#book.change(endpointStatus(run.endpoint));
  }

  /** The next end of the process is final, whatever the policy. */
  rest(): void {
    this.#policyRests = true;
  }

  /** True when a restart was waiting; it will not come. */
  cancelRestart(): boolean {
    return this.#timer.cancel();
  }

  /** Takes down what was prepared and never started. */
  async dismantle(): Promise<void> {
    const { id, ipAddress } = this.#book.status;
    const run = this.#run;
    run.over = true;
    this.#run = new ContainerRun();
    if (run.client) {
      const gone = await run.client.shutdown(AbortSignal.timeout(REQUEST_MS)).then(
        () => true,
        () => false,
      );
      run.client.close();
      if (!gone) await this.#launcher.cleanUp(id);
    }
    await this.#launcher.settle(id, ipAddress);
  }

  detach(): void {
    this.#timer.cancel();
    this.#run.over = true;
    this.#run.client?.close();
  }

  releaseLayers(): void {
    this.#lease?.release();
    this.#lease = undefined;
  }

  /** The agent has started again: finds what runs, learns what ended meanwhile, clears what is half made. */
  async recover(): Promise<void> {
    const before = this.#book.status;
    this.#lease = retainLayers(this.#launcher.options.layers, this.#options.record().spec);
    if (!(await this.#connect(new ContainerRun()))) await this.#recoverEnded(before);
  }

  async #recoverEnded(before: containerV1.ContainerStatus): Promise<void> {
    await this.#launcher.cleanUp(before.id);
    const exit = await this.#launcher.exitRecord(before.id);
    const unseen =
      exit !== undefined && (exit.lost || exit.startedAt !== 0n) && exit.finishedAt !== before.finishedAtNs;
    if (isActive(before.state)) {
      await this.#end(this.#run, unseen ? exit : unknownExit(before.startedAtNs));
    } else if (unseen && exit.startedAt !== 0n) {
      await this.#endUnseen(exit);
    } else {
      await this.#launcher.settle(before.id, before.ipAddress);
      if (before.state === S.RESTARTING) this.#restartAfter(FIRST_DELAY_MS, before.restartCount + 1);
      else if (before.state === S.CREATING || before.state === S.CREATED) this.#options.enqueue(() => this.prepare());
    }
  }

  /** It ran, and nobody had seen it. */
  async #endUnseen(exit: ExitRecord): Promise<void> {
    this.#book.change({ state: S.RUNNING, startedAtNs: exit.startedAt });
    await this.#end(this.#run, exit);
  }

  async #start(restartCount: number): Promise<void> {
    const record = this.#options.record();
    let asked = false;
    try {
      await this.#launcher.requireProfile(record);
      await this.#ensureLaunched();
      const run = this.#run;
      await this.#launcher.publish(record, run.endpoint);
      failpoint('start.1-published');
      asked = true;
      const started = this.#run.connection().start(this.#options.life);
      failpoint('start.2-asked');
      await started;
      failpoint('start.3-running');
      const state = await Promise.race([run.running, run.client?.closed]);
      this.#book.change({
        state: S.RUNNING,
        pid: state?.pid ?? 0,
        startedAtNs: state?.startedAt ?? nowNs(),
        finishedAtNs: 0n,
        exitCode: 0,
        oomKilled: false,
        error: '',
        restartCount,
        health: '',
      });
      failpoint('start.4-noted');
    } catch (error) {
      const failure = startFailure(error);
      await this.dismantle().catch((err: unknown) =>
        this.#options.logger.warn({ err }, 'not all of a failed start could be undone'),
      );
      const exit = asked ? await this.#launcher.exitRecord(record.id) : undefined;
      // Its supervisor was killed when the program may have run already: it is not to run twice.
      if (exit?.lost && exit.startedAt !== 0n) return await this.#endUnseen(exit);
      const state = this.#book.state === S.RESTARTING ? { state: S.EXITED } : {};
      this.#book.change({
        ...state,
        ...endpointStatus(undefined),
        exitCode: startExitCode(error),
        error: failure.message,
      });
      throw failure;
    }
  }

  async #ensureLaunched(): Promise<void> {
    if (this.#run.client) return;
    const run = new ContainerRun();
    const launched = await this.#launcher.launch(
      this.#options.record(),
      (state) => this.#observe(run, state),
      this.#options.life,
    );
    run.client = launched.client;
    run.endpoint = launched.endpoint;
    this.#run = run;
    this.#lease?.release();
    this.#lease = launched.lease;
    this.#watch(run);
    this.#book.change({
      ...(this.#book.state === S.CREATING ? { state: S.CREATED, error: '' } : {}),
      ...endpointStatus(launched.endpoint),
      volumePaths: { ...launched.volumePaths },
      apparmorProfile: launched.apparmorProfile,
      processLabel: launched.processLabel,
      mountLabel: launched.mountLabel,
    });
    failpoint('create.5-noted');
    await this.#hooks.fire(this.#bundle);
  }

  #observe(run: ContainerRun, state: ShimState): void {
    run.observe(state);
    if (state.status === 'exited') this.#options.enqueue(() => this.#end(run, { ...state, lost: false }));
  }

  /** A supervisor that hangs up: it may be there still; else what it, or the clean-up after it, has written down counts. */
  #watch(run: ContainerRun): void {
    void run.client?.closed.then(() =>
      this.#options.enqueue(async () => {
        if (run.over || run !== this.#run) return;
        const { id, startedAtNs } = this.#book.status;
        if (await this.#connect(run)) return;
        await this.#launcher.cleanUp(id);
        await this.#end(run, (await this.#launcher.exitRecord(id)) ?? unknownExit(startedAtNs));
      }),
    );
  }

  /** False when no supervisor answers. */
  async #connect(run: ContainerRun): Promise<boolean> {
    const observe = (state: ShimState): void => this.#observe(run, state);
    const { life } = this.#options;
    try {
      const { client, endpoint } = await this.#launcher.reconnect(this.#options.record(), observe, life);
      run.client = client;
      run.endpoint = endpoint;
      this.#run = run;
      this.#watch(run);
      const found = await client.state(AbortSignal.timeout(REQUEST_MS));
      for (const change of recognised(found, this.#book.status)) this.#book.change(change);
      if (endpoint && endpoint.address !== this.#book.status.ipAddress) this.#book.change(endpointStatus(endpoint));
      return true;
    } catch (error) {
      if (!hasReason(error, 'unavailable')) throw error;
      run.client = undefined;
      return false;
    }
  }

  async #end(run: ContainerRun, exit: ExitRecord): Promise<void> {
    if (run.over) return;
    run.over = true;
    failpoint('end.1-seen');
    const { id, ipAddress, startedAtNs, restartCount } = this.#book.status;
    if (run === this.#run) this.#run = new ContainerRun();
    // The supervisor has taken down everything once it hangs up.
    await run.client?.closed;
    await this.#launcher.settle(id, ipAddress).catch((error: unknown) => {
      this.#options.logger.warn({ err: error }, 'not all of an ended container could be taken down');
    });
    failpoint('end.2-settled');
    if (!this.active) return run.settle();
    const record = this.#options.record();
    const ended = {
      exitCode: exit.code,
      ranMs: Number((exit.finishedAt - startedAtNs) / 1_000_000n),
      restarts: restartCount,
      previousDelayMs: this.#timer.delayMs,
      stoppedByUser: this.#policyRests || record.desired === containerV1.DesiredState.STOPPED,
    };
    const delay = this.#options.life.aborted ? undefined : restartDelay(record.spec?.restartPolicy, ended);
    this.#book.change({ state: delay === undefined ? S.EXITED : S.RESTARTING, ...endOf(exit) });
    failpoint('end.3-noted');
    run.settle();
    if (delay !== undefined) this.#restartAfter(delay, restartCount + 1);
  }

  #restartAfter(delayMs: number, restartCount: number): void {
    this.#timer.set(delayMs, () =>
      this.#options.enqueue(async () => {
        if (this.#book.state !== S.RESTARTING) return;
        const longer = neighbourDelay(this.#options.record().spec, this.#launcher.options.host.find, delayMs);
        if (longer !== undefined) return this.#restartAfter(longer, restartCount);
        await this.#start(restartCount).catch((error: unknown) => {
          const { message } = asAtollError(error);
          this.#options.logger.info({ reason: message }, 'the restart policy could not start the container');
        });
      }),
    );
  }

  get #bundle(): string {
    return this.#launcher.options.files.directory(this.#book.status.id);
  }
}

import { conflict, hasReason } from '@atoll/errors';
import { containerV1, nodeV1 } from '@atoll/proto';
import { isActive } from './container-state.ts';
import { failpoint, thenFailpoint } from './failpoint.ts';
import { assertHostUp, isHostUp } from './host-up.ts';
import type { NetworkConnections } from './network/network-connections.ts';
import { isKillSignal, signalNumber } from './signals.ts';
import type { TermParts } from './term-parts.ts';

const { ContainerState, DesiredState } = containerV1;

type Spec = containerV1.ContainerSpec;
type Record_ = containerV1.ContainerRecord & { readonly spec: Spec };

export interface RunOutcome {
  readonly record: containerV1.ContainerRecord;
  readonly status: containerV1.ContainerStatus | undefined;
  readonly unchanged: boolean;
}

const isPaused = (status: containerV1.ContainerStatus | undefined): boolean => status?.state === ContainerState.PAUSED;

/** Docker's default grace between the stop signal and SIGKILL. */
const STOP_SECONDS = 10n;
const STOP_SLACK_MS = 30_000;
const START_SLACK_MS = 600_000;
/** Docker too tries ten ports when it picks them itself and programs of the host have them. */
const PORT_ATTEMPTS = 10;

/** Start, stop, kill, restart, pause and unpause, as Docker does them. */
export class ContainerRunning {
  readonly #parts: TermParts;
  readonly #connections: NetworkConnections;
  readonly #autoRemove: (id: string) => void;

  /** `autoRemove` is called for a `--rm` container that cannot be started: docker removes it then too. */
  constructor(parts: TermParts, connections: NetworkConnections, autoRemove: (id: string) => void) {
    this.#parts = parts;
    this.#connections = connections;
    this.#autoRemove = autoRemove;
  }

  /**
   * The durable write and the order go out together; the answer waits for both. A start the agent refuses is taken back, so that
   * nothing starts later by itself. `operation`: the one on a volume that may start its users. Errors: not-found (also a network that is gone), conflict (paused, a port in use, a volume is busy), failed-precondition (host down), the agent's refusal.
   */
  start(id: string, operation?: string): Promise<RunOutcome> {
    return this.#turn(id, async (record) => {
      assertHostUp(this.#parts, record);
      this.#assertVolumesFree(record, operation);
      if (await this.#confirm(record, isPaused)) throw conflict('cannot start a paused container, try unpause instead');
      return this.#start(record, 1);
    });
  }

  async #start(record: Record_, attempt: number): Promise<RunOutcome> {
    const { id } = record;
    const { wanted, release } = this.#taken(record);
    const writing = Promise.resolve(wanted === record ? record : this.#parts.writes.putContainer(wanted));
    const asking = this.#parts.orders.send(nodeV1.Action.START, wanted);
    failpoint('start.1-asked');
    const [written, ordered] = await Promise.allSettled([
      writing.then(thenFailpoint('start.2-stored')),
      asking.then(thenFailpoint('start.3-obeyed')),
    ]).finally(release);
    if (ordered.status === 'rejected') {
      if (written.status === 'fulfilled' && attempt < PORT_ATTEMPTS && hasReason(ordered.reason, 'conflict')) {
        const ports = this.#parts.ports.others(record);
        if (ports) return this.#start({ ...record, ports, generation: written.value.generation }, attempt + 1);
      }
      if (!hasReason(ordered.reason, 'unavailable', 'deadline-exceeded')) {
        if (record.spec.autoRemove) this.#autoRemove(id);
        else await this.#takeBack(record, written);
      }
      throw ordered.reason;
    }
    if (written.status === 'rejected') throw written.reason;
    return {
      record: written.value,
      status: ordered.value.status ?? this.#status(id),
      unchanged: ordered.value.unchanged,
    };
  }

  /** Errors: not-found. A container that does not run is unchanged. */
  async stop(request: containerV1.StopContainerRequest, signal: AbortSignal): Promise<RunOutcome> {
    const { id } = request;
    const begun = await this.#turn(id, async (record) => {
      const status = this.#status(id);
      const mayRun = isActive(status) || record.desired === DesiredState.RUNNING;
      if (!mayRun) return { record, status, waiting: undefined };
      const runs = isHostUp(this.#parts, record);
      const wanted = this.#with(record, DesiredState.STOPPED);
      if (runs && isActive(status)) this.#tellKill(record, request.signal || record.spec.stopSignal || 'TERM');
      const written = wanted === record ? record : this.#parts.writes.putContainer(wanted);
      const seconds = request.timeoutSeconds ?? record.spec.stopTimeout ?? STOP_SECONDS;
      const waiting = runs
        ? this.#parts.orders.send(nodeV1.Action.STOP, wanted, {
            signal,
            signalName: request.signal,
            timeoutSeconds: seconds,
            waitMs: seconds < 0n ? undefined : Number(seconds) * 1_000 + STOP_SLACK_MS,
          })
        : undefined;
      waiting?.catch(() => undefined);
      failpoint('stop.1-asked');
      const stored = await written;
      failpoint('stop.2-stored');
      return { record: stored, status, waiting };
    });
    if (!begun.waiting) return { record: begun.record, status: begun.status, unchanged: true };
    const outcome = await begun.waiting;
    failpoint('stop.3-obeyed');
    if (!outcome.unchanged) this.#parts.events.container(begun.record, 'stop');
    return { record: begun.record, status: outcome.status ?? this.#status(id), unchanged: outcome.unchanged };
  }

  /** Errors: not-found, conflict when it does not run, invalid-argument for an unknown signal, unavailable. */
  kill(id: string, signalName: string): Promise<RunOutcome> {
    signalNumber(signalName || 'KILL');
    return this.#turn(id, async (record) => {
      if (!isHostUp(this.#parts, record) || !(await this.#confirmActive(record))) {
        throw conflict(`cannot kill container: ${record.spec.name}: container ${id} is not running`);
      }
      const ends = isKillSignal(signalName || 'KILL', record.spec.stopSignal);
      const wanted = ends ? this.#with(record, DesiredState.STOPPED) : record;
      this.#tellKill(record, signalName || 'KILL');
      const [stored, outcome] = await Promise.all([
        wanted === record ? record : this.#parts.writes.putContainer(wanted),
        this.#parts.orders.send(nodeV1.Action.KILL, wanted, { signalName: signalName || 'KILL' }),
      ]);
      return { record: stored, status: outcome.status ?? this.#status(id), unchanged: false };
    });
  }

  /** Stops if it runs, then starts. Errors: as stop and start. */
  restart(request: containerV1.RestartContainerRequest, signal: AbortSignal): Promise<RunOutcome> {
    const { id } = request;
    return this.#turn(id, async (record) => {
      assertHostUp(this.#parts, record);
      this.#assertVolumesFree(record);
      const { wanted, release } = this.#taken(record);
      const ran = isActive(this.#status(id));
      const seconds = request.timeoutSeconds ?? record.spec.stopTimeout ?? STOP_SECONDS;
      if (ran) this.#tellKill(record, request.signal || record.spec.stopSignal || 'TERM');
      const stopEnds = ran ? this.#parts.observations.expectStop(wanted) : undefined;
      try {
        const [stored, outcome] = await Promise.all([
          wanted === record ? record : this.#parts.writes.putContainer(wanted),
          this.#parts.orders.send(nodeV1.Action.RESTART, wanted, {
            signal,
            signalName: request.signal,
            timeoutSeconds: seconds,
            waitMs: seconds < 0n ? undefined : Number(seconds) * 1_000 + START_SLACK_MS,
          }),
        ]);
        stopEnds?.(true);
        this.#parts.events.container(stored, 'restart');
        return { record: stored, status: outcome.status ?? this.#status(id), unchanged: false };
      } catch (error) {
        stopEnds?.(false);
        throw error;
      } finally {
        release();
      }
    });
  }

  /** Errors: not-found, conflict when it does not run or is paused already. */
  pause(id: string): Promise<containerV1.ContainerStatus | undefined> {
    return this.#turn(id, async (record) => {
      assertHostUp(this.#parts, record);
      const seen = this.#status(id)?.state;
      const state = seen === ContainerState.RUNNING ? seen : (await this.#parts.orders.freshStatus(record))?.state;
      if (state === ContainerState.PAUSED) throw conflict(`container ${id} is already paused`);
      if (state === ContainerState.RESTARTING)
        throw conflict(`container ${id} is restarting, wait until the container is running`);
      if (state !== ContainerState.RUNNING) throw conflict(`container ${id} is not running`);
      const outcome = await this.#parts.orders.send(nodeV1.Action.PAUSE, record);
      return outcome.status ?? this.#status(id);
    });
  }

  /** Errors: not-found, conflict when it is not paused. */
  unpause(id: string): Promise<containerV1.ContainerStatus | undefined> {
    return this.#turn(id, async (record) => {
      assertHostUp(this.#parts, record);
      const seen = this.#status(id)?.state;
      const state = seen === ContainerState.PAUSED ? seen : (await this.#parts.orders.freshStatus(record))?.state;
      if (state !== ContainerState.PAUSED) throw conflict(`container ${id} is not paused`);
      const outcome = await this.#parts.orders.send(nodeV1.Action.UNPAUSE, record);
      return outcome.status ?? this.#status(id);
    });
  }

  #turn<T>(id: string, task: (record: Record_) => Promise<T>): Promise<T> {
    // Before the turn too: a container that does not exist is refused at once, and waits behind nobody.
    this.#parts.writes.container(id);
    return this.#parts.turns.run(id, this.#parts.signal, async () => task(this.#parts.writes.container(id)));
  }

  #status(id: string): containerV1.ContainerStatus | undefined {
    return this.#parts.observations.status(id);
  }

  /** True only if the agent still says so: a refusal must not rest on a status that is on its way out. */
  async #confirm(record: Record_, is: (status: containerV1.ContainerStatus | undefined) => boolean): Promise<boolean> {
    return is(this.#status(record.id)) && is(await this.#parts.orders.freshStatus(record));
  }

  async #confirmActive(record: Record_): Promise<boolean> {
    return isActive(this.#status(record.id)) || isActive(await this.#parts.orders.freshStatus(record));
  }

  #assertVolumesFree(record: Record_, operation?: string): void {
    for (const { type, source } of record.spec.mounts) {
      const busy = type === 'volume' ? this.#parts.state.volumes.busy(source, operation) : undefined;
      if (busy) throw conflict(`container ${record.spec.name} cannot start: ${busy}; try again when that is over`);
    }
  }

  #tellKill(record: Record_, signalName: string): void {
    this.#parts.events.container(record, 'kill', { signal: String(signalNumber(signalName)) });
  }

  /** The record with another desired state, or the same one when nothing changes. */
  #with(record: Record_, desired: containerV1.DesiredState): Record_ {
    return record.desired === desired ? record : { ...record, desired, generation: record.generation + 1n };
  }

  #startable(record: Record_): Record_ {
    const endpoints = this.#connections.revive(record);
    const ports = isActive(this.#status(record.id)) ? record.ports : this.#parts.ports.settle(record);
    const wanted = this.#with(record, DesiredState.RUNNING);
    if (endpoints === record.endpoints && ports === record.ports) return wanted;
    return { ...wanted, endpoints, ports, generation: record.generation + 1n };
  }

  /** The record to start, with its ports and networks held until `release`. */
  #taken(record: Record_): { readonly wanted: Record_; readonly release: () => void } {
    try {
      const wanted = this.#startable(record);
      const release = this.#parts.ports.take(wanted);
      const unpin = this.#parts.state.networks.pin(wanted.endpoints.map(({ networkId }) => networkId));
      return {
        wanted,
        release: () => {
          unpin();
          release();
        },
      };
    } catch (error) {
      if (record.spec.autoRemove && !isActive(this.#status(record.id))) this.#autoRemove(record.id);
      throw error;
    }
  }

  async #takeBack(record: Record_, written: PromiseSettledResult<containerV1.ContainerRecord>): Promise<void> {
    if (written.status === 'rejected' || written.value === record) return;
    const back = { ...record, generation: written.value.generation + 1n };
    await this.#parts.writes.putContainer(back).catch((error: unknown) => {
      this.#parts.log.warn({ container: record.id, err: error }, 'a refused start could not be taken back');
    });
  }
}

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { conflict, failedPrecondition, hasReason, notFound } from '@atoll/errors';
import { containerV1, nodeV1, volumeV1 } from '@atoll/proto';
import type { ContainerRunning } from '../container-running.ts';
import { isActive } from '../container-state.ts';
import { failpoint } from '../failpoint.ts';
import type { TermParts } from '../term-parts.ts';
import type { VolumeLeftovers } from './volume-leftovers.ts';

const K = volumeV1.VolumeOperationKind;
const RETRY_MS = 2_000;

export type BusyVolume = volumeV1.VolumeRecord & { readonly operation: volumeV1.VolumeOperation };
/** A container with its spec. */
export type VolumeContainer = containerV1.ContainerRecord & { readonly spec: containerV1.ContainerSpec };

/**
 * Operations on volumes that take a while. Each is written into the volume's record before its first step, and brought to an end from
 * there (`settle`): by whoever began it, or by the next leader.
 */
export class VolumeOperations {
  readonly #parts: TermParts;
  readonly #running: ContainerRunning;
  readonly #leftovers: VolumeLeftovers;

  constructor(parts: TermParts, running: ContainerRunning, leftovers: VolumeLeftovers) {
    this.#parts = parts;
    this.#running = running;
    this.#leftovers = leftovers;
  }

  /** What an earlier leader did not bring to an end. */
  recover(): void {
    const { records } = this.#parts.state.volumes;
    for (const { name, operation } of records.values()) {
      // Those that move with another one are brought to an end with it.
      if (!operation || records.get(operation.lead)?.operation?.id === operation.id) continue;
      void this.settle(name, operation.id).catch(() => undefined);
    }
  }

  static draft(
    kind: volumeV1.VolumeOperationKind,
    more: Partial<volumeV1.VolumeOperation> = {},
  ): volumeV1.VolumeOperation {
    return volumeV1.VolumeOperation.fromPartial({ id: randomBytes(16).toString('hex'), ...more, kind });
  }

  /**
   * The record of a volume whose files can be read: a plain folder of a host that is connected, with nothing else going on. Errors:
   * not-found, conflict, failed-precondition. `own`: the operation that may go on with it; `unrecorded`: what it is without a record.
   */
  readable(name: string, own?: string, unrecorded?: volumeV1.VolumeRecord): volumeV1.VolumeRecord {
    const { state, sessions } = this.#parts;
    const record = state.volumes.records.get(name) ?? unrecorded;
    if (!record) throw notFound(`get ${name}: no such volume`);
    const busy = state.volumes.busy(name, own);
    if (busy) throw conflict(`${busy}; try again when that is over`);
    if (Object.keys(record.options).length > 0)
      throw failedPrecondition(
        `volume ${name} has options of its driver: its files are not the host's own, copy them where they are`,
      );
    if (record.nodeId === '') throw failedPrecondition(`volume ${name} has no files yet: no container has used it`);
    if (!sessions.get(record.nodeId))
      throw failedPrecondition(
        `volume ${name} is on host ${this.hostname(record.nodeId)}, which is not connected: bring it back`,
      );
    return record;
  }

  hostname(nodeId: string): string {
    return this.#parts.state.nodes.get(nodeId)?.facts?.hostname ?? nodeId;
  }

  /** Has a host drop what it keeps of the volume. One that does not hear of it does so in a day. */
  forget(nodeId: string, name: string): void {
    void this.#leftovers.forget(nodeId, name);
  }

  users(name: string): VolumeContainer[] {
    return [...this.#parts.state.records.values()].filter(
      (record): record is VolumeContainer =>
        record.desired !== containerV1.DesiredState.REMOVED &&
        (record.spec?.mounts.some(({ type, source }) => type === 'volume' && source === name) ?? false),
    );
  }

  /** Stops those that run, having written down which. Errors: failed-precondition for one that goes when it stops. */
  async stopUsers(
    record: BusyVolume,
    users: readonly VolumeContainer[],
    timeoutSeconds: bigint | undefined,
    signal: AbortSignal,
  ): Promise<BusyVolume> {
    const { writes, observations } = this.#parts;
    const running = users.filter(({ id }) => isActive(observations.status(id)));
    assertComeBack(running);
    const stopped = [...new Set(running.map(({ id }) => id))];
    const operation = { ...record.operation, stopped };
    const noted = { ...(await writes.putVolume({ ...record, operation })), operation };
    await Promise.all(stopped.map((id) => this.#running.stop({ id, signal: '', timeoutSeconds }, signal)));
    return noted;
  }

  /**
   * Brings an operation to its end, whatever became of it: users run again, what is not whole goes, and nothing is going on with the
   * volume any more. Tries until the term ends.
   */
  async settle(name: string, id: string): Promise<void> {
    const { signal, log } = this.#parts;
    for (;;) {
      try {
        const record = this.#parts.state.volumes.records.get(name);
        const operation = record?.operation;
        if (!record || operation?.id !== id) return;
        // Written once more before anything is done by it: a leader that was replaced decides nothing, and a write before this one
        // whose outcome is unknown counts no more.
        return await this.#settle({ ...(await this.#parts.writes.putVolume(record)), operation });
      } catch (error) {
        signal.throwIfAborted();
        log.warn({ volume: name, operation: id, err: error }, 'an operation on a volume could not be ended yet');
      }
      await sleep(RETRY_MS, undefined, { signal });
    }
  }

  async #settle(record: BusyVolume): Promise<void> {
    const { name, nodeId, operation } = record;
    const { kind, targetNodeId, sourceNodeId } = operation;
    if (kind === K.CREATE) {
      await this.#leftovers.end(nodeId, operation.id);
      // The tombstone first: nothing else remembers that the host may have files.
      await this.#leftovers.remove(nodeId, name);
      await this.#parts.writes.deleteVolume(name);
      return;
    }
    if (kind === K.REPLACE) await this.#leftovers.end(nodeId, operation.id);
    const members = kind === K.MOVE ? this.#members(record) : [];
    if (kind === K.MOVE) {
      await Promise.all([sourceNodeId, targetNodeId].map((id) => this.#leftovers.end(id, operation.id)));
      // This record alone says which copies are the volumes; the other ones go.
      const names = [name, ...members.map((member) => member.name)];
      if (nodeId === targetNodeId) await this.#follow(members, names, targetNodeId);
      for (const one of names) await this.#leftovers.remove(nodeId === targetNodeId ? sourceNodeId : targetNodeId, one);
      failpoint('move.8-removed');
    }
    for (const container of operation.stopped) await this.#startAgain(container, operation.id);
    failpoint('move.9-started');
    // What the other host has received of a move that failed is there for the next try.
    const place = kind === K.MOVE ? { nodeId, keptNodeId: nodeId === targetNodeId ? '' : targetNodeId } : {};
    for (const one of members) await this.#free({ ...one, ...place, operation: undefined });
    failpoint('move.10-freed');
    await this.#free({ ...record, ...place, operation: undefined });
  }

  /** The other volumes of a move, in so far as they have joined it and are not at its end yet. */
  #members({ operation: { id, members } }: BusyVolume): volumeV1.VolumeRecord[] {
    const { records } = this.#parts.state.volumes;
    return members.flatMap((name) => {
      const member = records.get(name);
      return member?.operation?.id === id ? [member] : [];
    });
  }

  /** All records say that the volumes are there, then the containers go there. */
  async #follow(members: readonly volumeV1.VolumeRecord[], names: readonly string[], nodeId: string): Promise<void> {
    const { turns, signal, writes } = this.#parts;
    for (const member of members)
      if (member.nodeId !== nodeId) await writes.putVolume({ ...member, nodeId, keptNodeId: '' });
    failpoint('move.6-followed');
    for (const name of names)
      for (const { id } of this.users(name)) await turns.run(id, signal, () => this.#moveUser(id, nodeId));
    failpoint('move.7-recreated');
  }

  /** Nothing goes on with it any more. An anonymous volume that a container has is known by that again. */
  async #free(record: volumeV1.VolumeRecord): Promise<void> {
    const { writes } = this.#parts;
    if (record.anonymous && this.users(record.name).length > 0) await writes.deleteVolume(record.name);
    else await writes.putVolume(record);
  }

  /** The container is made anew on the host; its old copy goes, with all it wrote outside of volumes. */
  async #moveUser(id: string, nodeId: string): Promise<void> {
    const { state, writes, observations, events, orders, sessions } = this.#parts;
    const record = state.records.get(id);
    if (!record || record.nodeId === nodeId || record.desired === containerV1.DesiredState.REMOVED) return;
    const generation = record.generation + 1n;
    const stored = await writes.putContainer({ ...record, nodeId, generation, placements: record.placements + 1 });
    observations.reset(stored);
    events.container(stored, 'reschedule', { 'atoll.from': this.hostname(record.nodeId) });
    // A host that is away hears of it when it is back: the record names another one.
    if (sessions.get(record.nodeId)) await orders.attempt(nodeV1.Action.REMOVE, record, { force: true });
    await orders.attempt(nodeV1.Action.ENSURE, stored);
  }

  async #startAgain(id: string, operation: string): Promise<void> {
    try {
      await this.#running.start(id, operation);
    } catch (error) {
      if (hasReason(error, 'not-found')) return;
      if (hasReason(error, 'unavailable', 'deadline-exceeded') || !this.#isUp(id)) throw error;
      this.#parts.log.warn({ container: id, err: error }, 'a container that was stopped for its volume does not start');
    }
  }

  #isUp(id: string): boolean {
    const { state, health } = this.#parts;
    return health.isReady(state.records.get(id)?.nodeId ?? '');
  }
}

/** Errors: failed-precondition that names a container which would be gone once it has stopped. */
export function assertComeBack(running: readonly VolumeContainer[]): void {
  const gone = running.find(({ spec }) => spec.autoRemove);
  if (gone)
    throw failedPrecondition(`container ${gone.spec.name} is removed when it stops (--rm): stop it yourself first`);
}

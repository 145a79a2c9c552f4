import { setTimeout as sleep } from 'node:timers/promises';
import { conflict, failedPrecondition, hasReason } from '@atoll/errors';
import { nodeV1, volumeV1 } from '@atoll/proto';
import { AsyncQueue } from '@atoll/rpc';
import { isActive } from '../container-state.ts';
import { failpoint } from '../failpoint.ts';
import type { TermParts } from '../term-parts.ts';
import { type VolumeGroup, volumeGroup } from './volume-groups.ts';
import { assertComeBack, type BusyVolume, VolumeOperations } from './volume-operations.ts';
import { VolumeTargets } from './volume-targets.ts';

const A = nodeV1.Action;
const PROGRESS_QUEUED = 16;
const GRANT_WAIT_MS = 10_000;
/** Between tries of a copy that was cut. */
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 16_000];

type Tell = (phase: string, name?: string, bytes?: bigint) => void;

/** Ships volumes from host to host. The bytes go from agent to agent. */
export class VolumeMove {
  readonly #parts: TermParts;
  readonly #operations: VolumeOperations;
  readonly #targets: VolumeTargets;

  constructor(parts: TermParts, operations: VolumeOperations) {
    this.#parts = parts;
    this.#operations = operations;
    this.#targets = new VolumeTargets(parts);
  }

  /** Errors: see VolumeService.MoveVolume. A call that is cancelled before the volume has another host leaves it where it was. */
  async *move(request: volumeV1.MoveVolumeRequest, signal: AbortSignal): AsyncGenerator<volumeV1.MoveVolumeResponse> {
    const queue = new AsyncQueue<volumeV1.VolumeProgress>(PROGRESS_QUEUED);
    // What does not fit is not worth waiting for: the next one says more.
    const tell: Tell = (phase, name = '', bytes = 0n) => {
      queue.push({ phase, bytes, volume: undefined, name });
    };
    const life = AbortSignal.any([signal, this.#parts.signal]);
    this.#move(request, tell, life).then(
      async (moved) => {
        for (const volume of moved) {
          const done = { phase: 'done', bytes: 0n, volume, name: volume.name };
          await queue.pushWait(done, life).catch(() => undefined);
        }
        queue.end();
      },
      (error: unknown) => queue.end(error),
    );
    for await (const progress of queue) yield { progress };
  }

  async #move(request: volumeV1.MoveVolumeRequest, tell: Tell, signal: AbortSignal): Promise<volumeV1.VolumeRecord[]> {
    const names = [request.name, ...request.with];
    const group = volumeGroup(this.#operations, names, request.recreate);
    const locked = group.volumes.map(({ name }) => name).sort();
    const lead = await this.#inTurn(locked, signal, () => this.#begin(request));
    failpoint('move.1-noted');
    let volumes: readonly BusyVolume[] = [lead];
    try {
      volumes = await this.#inTurn(locked, signal, () => this.#join(lead, request));
      await this.#ship(lead, volumes, request.timeoutSeconds, tell, signal);
    } catch (error) {
      await this.#operations.settle(lead.name, lead.operation.id).catch(() => undefined);
      throw error;
    }
    tell('moving');
    await this.#operations.settle(lead.name, lead.operation.id);
    const { records } = this.#parts.state.volumes;
    const { targetNodeId: nodeId } = lead.operation;
    // Those of containers have no record again.
    return volumes.map((one) => records.get(one.name) ?? { ...one, nodeId, operation: undefined });
  }

  /** The volume that decides for all is the first to be in the operation, and the last. */
  async #begin({ name, node, recreate, with: others }: volumeV1.MoveVolumeRequest): Promise<BusyVolume> {
    const { observations, writes } = this.#parts;
    const group = volumeGroup(this.#operations, [name, ...others], recreate);
    const target = this.#targets.choose(recreate ? group : { ...group, users: [] }, node);
    if (!recreate) this.#assertUnused(group, target);
    assertComeBack(group.users.filter(({ id }) => isActive(observations.status(id))));
    const [lead, ...members] = group.volumes;
    const operation = VolumeOperations.draft(volumeV1.VolumeOperationKind.MOVE, {
      sourceNodeId: lead.nodeId,
      targetNodeId: target.id,
      recreate,
      members: members.map((member) => member.name),
    });
    const begun = { ...(await writes.putVolume({ ...lead, operation })), operation };
    // What other hosts have of earlier tries serves nobody any more.
    for (const { name: volume, keptNodeId } of group.volumes)
      if (keptNodeId !== '' && keptNodeId !== target.id) this.#operations.forget(keptNodeId, volume);
    return begun;
  }

  /** Takes the other volumes into the operation. Errors: conflict when more have to move by now. */
  async #join(lead: BusyVolume, request: volumeV1.MoveVolumeRequest): Promise<BusyVolume[]> {
    const { operation } = lead;
    const names = [lead.name, ...operation.members];
    const joined = [lead];
    for (const record of volumeGroup(this.#operations, names, false, operation.id).volumes.slice(1)) {
      const own = { ...operation, members: [], lead: lead.name };
      joined.push({ ...(await this.#parts.writes.putVolume({ ...record, operation: own })), operation: own });
    }
    // From here on nobody makes a container that uses one of them; whoever came before has to be one of those known.
    const now = volumeGroup(this.#operations, names, request.recreate, operation.id);
    if (now.volumes.length !== names.length)
      throw conflict(`containers of volume ${lead.name} came to use other volumes meanwhile: try again`);
    if (!request.recreate && now.users.length > 0)
      throw conflict(`volume ${lead.name} came into use meanwhile: try again`);
    return joined;
  }

  /** Errors: failed-precondition that says who uses them. */
  #assertUnused({ volumes, users }: VolumeGroup, target: nodeV1.NodeRecord): void {
    if (users.length === 0) return;
    const used = volumes.find(({ name }) => this.#operations.users(name).length > 0) ?? volumes[0];
    const names = this.#operations.users(used.name).map(({ spec }) => spec.name);
    const hostname = target.facts?.hostname ?? target.id;
    throw failedPrecondition(
      `volume ${used.name} is used by ${names.join(', ')}: remove ${names.length === 1 ? 'it' : 'them'}, or have them made anew on ${hostname} (--recreate), without what they have written outside of volumes`,
    );
  }

  async #ship(
    lead: BusyVolume,
    volumes: readonly BusyVolume[],
    seconds: bigint | undefined,
    tell: Tell,
    signal: AbortSignal,
  ): Promise<void> {
    const { observations, writes } = this.#parts;
    let decisive = lead;
    const users = (): ReturnType<VolumeOperations['users']> =>
      volumes.flatMap(({ name }) => this.#operations.users(name));
    const inUse = users().some(({ id }) => isActive(observations.status(id)));
    if (inUse) {
      for (const volume of volumes) await this.#pull(volume, true, 'copying', tell, signal);
      failpoint('move.2-copied');
      tell('stopping');
      decisive = await this.#operations.stopUsers(lead, users(), seconds, signal);
      failpoint('move.3-stopped');
    }
    for (const volume of volumes) {
      await this.#pull(volume, false, inUse ? 'finishing' : 'copying', tell, signal);
      failpoint('move.4-placed');
    }
    signal.throwIfAborted();
    // The one write that decides, for all of them: before it they are at the source, after it at the target.
    await writes.putVolume({ ...decisive, nodeId: lead.operation.targetNodeId, keptNodeId: '' });
    failpoint('move.5-committed');
  }

  /** One copy, however often it is cut while both hosts are there: each try goes on where the one before has come to. */
  async #pull(volume: BusyVolume, first: boolean, phase: string, tell: Tell, signal: AbortSignal): Promise<void> {
    const { sessions, log } = this.#parts;
    const { sourceNodeId, targetNodeId } = volume.operation;
    for (let tries = 0; ; tries++) {
      try {
        return await this.#pullOnce(volume, first, phase, tell, signal);
      } catch (error) {
        signal.throwIfAborted();
        const pause = RETRY_MS[tries];
        const away = [sourceNodeId, targetNodeId].some((id) => !sessions.get(id));
        // A host that has just gone may be back at once: its agent was started anew.
        const cut = hasReason(error, 'unavailable', 'deadline-exceeded', 'cancelled');
        if (pause === undefined || (away && tries > 0) || !cut) throw error;
        log.warn({ volume: volume.name, err: error }, 'a copy between hosts was cut: it is tried again');
        tell('retrying', volume.name);
        await sleep(pause, undefined, { signal });
      }
    }
  }

  async #pullOnce(
    { name, operation }: BusyVolume,
    first: boolean,
    phase: string,
    tell: Tell,
    signal: AbortSignal,
  ): Promise<void> {
    const { orders, state } = this.#parts;
    const { id, sourceNodeId, targetNodeId } = operation;
    const peerAddress = state.nodes.get(sourceNodeId)?.facts?.address ?? '';
    tell(phase, name);
    const grant = { operation: id, peerNodeId: targetNodeId };
    await orders.volume(A.GRANT_VOLUME, sourceNodeId, name, grant, { signal, waitMs: GRANT_WAIT_MS });
    const pull = { operation: id, peerNodeId: sourceNodeId, peerAddress, first };
    const onProgress = (bytes: bigint): void => tell(phase, name, bytes);
    await orders.volume(A.PULL_VOLUME, targetNodeId, name, pull, { signal, onProgress });
  }

  /** The turns of all volumes at once; who takes several takes them in the same order. */
  #inTurn<T>(names: readonly string[], signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    const [name, ...rest] = names;
    if (name === undefined) return task();
    return this.#parts.turns.run(`volume ${name}`, signal, () => this.#inTurn(rest, signal, task));
  }
}

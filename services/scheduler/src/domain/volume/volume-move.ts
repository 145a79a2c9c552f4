import { setTimeout as sleep } from 'node:timers/promises';
import { failedPrecondition, hasReason, invalidArgument, notFound } from '@atoll/errors';
import { type containerV1, nodeV1, volumeV1 } from '@atoll/proto';
import { AsyncQueue } from '@atoll/rpc';
import { needsHostUsers, parseConstraint } from '@atoll/scheduling';
import { claimOf } from '../claim.ts';
import { isActive } from '../container-state.ts';
import { failpoint } from '../failpoint.ts';
import { encryptedAmong } from '../network/encryption.ts';
import { parentConstraints } from '../network/parent-hosts.ts';
import { addressConstraints } from '../port-scope.ts';
import { place, type TermParts } from '../term-parts.ts';
import { assertComeBack, type BusyVolume, VolumeOperations } from './volume-operations.ts';

const A = nodeV1.Action;
const PROGRESS_QUEUED = 16;
const GRANT_WAIT_MS = 10_000;
/** Between tries of a copy that was cut. */
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 16_000];

type Tell = (phase: string, bytes?: bigint) => void;
type User = ReturnType<VolumeOperations['users']>[number];

/** Ships volumes from host to host. The bytes go from agent to agent. */
export class VolumeMove {
  readonly #parts: TermParts;
  readonly #operations: VolumeOperations;

  constructor(parts: TermParts, operations: VolumeOperations) {
    this.#parts = parts;
    this.#operations = operations;
  }

  /** Errors: see VolumeService.MoveVolume. A call that is cancelled before the volume has another host leaves it where it was. */
  async *move(request: volumeV1.MoveVolumeRequest, signal: AbortSignal): AsyncGenerator<volumeV1.MoveVolumeResponse> {
    const queue = new AsyncQueue<volumeV1.VolumeProgress>(PROGRESS_QUEUED);
    // What does not fit is not worth waiting for: the next one says more.
    const tell: Tell = (phase, bytes = 0n) => {
      queue.push({ phase, bytes, volume: undefined });
    };
    const life = AbortSignal.any([signal, this.#parts.signal]);
    this.#move(request, tell, life).then(
      async (volume) => {
        await queue.pushWait({ phase: 'done', bytes: 0n, volume }, life).catch(() => undefined);
        queue.end();
      },
      (error: unknown) => queue.end(error),
    );
    for await (const progress of queue) yield { progress };
  }

  async #move(request: volumeV1.MoveVolumeRequest, tell: Tell, signal: AbortSignal): Promise<volumeV1.VolumeRecord> {
    const { name } = request;
    const begun = await this.#parts.turns.run(`volume ${name}`, signal, () => this.#begin(request));
    failpoint('move.1-noted');
    try {
      await this.#ship(begun, request.timeoutSeconds, tell, signal);
    } catch (error) {
      await this.#operations.settle(name, begun.operation.id).catch(() => undefined);
      throw error;
    }
    tell('moving');
    await this.#operations.settle(name, begun.operation.id);
    const moved = this.#parts.state.volumes.records.get(name);
    if (!moved) throw notFound(`volume ${name} was moved and then removed`);
    return moved;
  }

  async #begin({ name, node, recreate }: volumeV1.MoveVolumeRequest): Promise<BusyVolume> {
    const { state, observations, writes } = this.#parts;
    const record = this.#operations.readable(name);
    const users = this.#operations.users(name);
    const target =
      node === ''
        ? this.#choose(record, users)
        : this.#assertTakes(nodeOf(state.nodes.values(), node), record, recreate ? users : []);
    const hostname = target.facts?.hostname ?? target.id;
    if (users.length > 0 && !recreate) {
      const names = users.map(({ spec }) => spec.name).join(', ');
      throw failedPrecondition(
        `volume ${name} is used by ${names}: remove ${users.length === 1 ? 'it' : 'them'}, or have them made anew on ${hostname} (--recreate), without what they have written outside of volumes`,
      );
    }
    assertComeBack(users.filter(({ id }) => isActive(observations.status(id))));
    const operation = VolumeOperations.draft(volumeV1.VolumeOperationKind.MOVE, {
      sourceNodeId: record.nodeId,
      targetNodeId: target.id,
      recreate,
    });
    const begun = { ...(await writes.putVolume({ ...record, operation })), operation };
    // What another host has of an earlier try serves nobody any more.
    if (record.keptNodeId !== '' && record.keptNodeId !== target.id) this.#operations.forget(record.keptNodeId, name);
    return begun;
  }

  /** The host with the fewest containers of those that take the volume and its users. Errors: why the last one does not. */
  #choose(record: volumeV1.VolumeRecord, users: readonly User[]): nodeV1.NodeRecord {
    const { nodes, infos } = this.#parts.state;
    const load = ({ id }: nodeV1.NodeRecord): number => infos.get(id)?.containers ?? 0;
    const others = [...nodes.values()].filter(({ id }) => id !== record.nodeId).sort((a, b) => load(a) - load(b));
    let refusal: unknown = failedPrecondition(`there is no other host for volume ${record.name}`);
    for (const node of others) {
      try {
        return this.#assertTakes(node, record, users);
      } catch (error) {
        refusal = error;
      }
    }
    throw refusal;
  }

  /** Errors: invalid-argument for its own host, failed-precondition that says why not. */
  #assertTakes(
    target: nodeV1.NodeRecord,
    { name, nodeId }: volumeV1.VolumeRecord,
    users: readonly User[],
  ): nodeV1.NodeRecord {
    const { state, sessions } = this.#parts;
    const hostname = target.facts?.hostname ?? target.id;
    if (target.id === nodeId) throw invalidArgument(`volume ${name} is on host ${hostname} already`);
    if (!sessions.get(target.id))
      throw failedPrecondition(`host ${hostname} is not connected: bring it back or choose another`);
    if (state.infos.get(target.id)?.availability !== 'active')
      throw failedPrecondition(
        `host ${hostname} takes nothing new: activate it (atoll node activate) or choose another`,
      );
    if (state.volumes.hasLeftover(target.id, name))
      throw failedPrecondition(`host ${hostname} has yet to remove files of an earlier volume ${name}: try again`);
    for (const user of users) this.#assertMovable(user, name, target);
    return target;
  }

  async #ship(begun: BusyVolume, seconds: bigint | undefined, tell: Tell, signal: AbortSignal): Promise<void> {
    const { observations, writes } = this.#parts;
    const { name, operation } = begun;
    let record = begun;
    if (this.#operations.users(name).some(({ id }) => isActive(observations.status(id)))) {
      await this.#pull(record, true, 'copying', tell, signal);
      failpoint('move.2-copied');
      tell('stopping');
      record = await this.#operations.stopUsers(record, seconds, signal);
      failpoint('move.3-stopped');
      await this.#pull(record, false, 'finishing', tell, signal);
    } else {
      await this.#pull(record, false, 'copying', tell, signal);
    }
    failpoint('move.4-placed');
    signal.throwIfAborted();
    // The one write that decides: before it the volume is at the source, after it at the target.
    await writes.putVolume({ ...record, nodeId: operation.targetNodeId, keptNodeId: '' });
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
        if (pause === undefined || (away && tries > 0) || !hasReason(error, 'unavailable', 'deadline-exceeded'))
          throw error;
        log.warn({ volume: volume.name, err: error }, 'a copy between hosts was cut: it is tried again');
        tell('retrying');
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
    tell(phase);
    const grant = { operation: id, peerNodeId: targetNodeId };
    await orders.volume(A.GRANT_VOLUME, sourceNodeId, name, grant, { signal, waitMs: GRANT_WAIT_MS });
    const pull = { operation: id, peerNodeId: sourceNodeId, peerAddress, first };
    const onProgress = (bytes: bigint): void => tell(phase, bytes);
    await orders.volume(A.PULL_VOLUME, targetNodeId, name, pull, { signal, onProgress });
  }

  /** Errors: failed-precondition that says what of the container exists on its host only, or why the target does not take it. */
  #assertMovable({ id, spec, ports, endpoints }: User, volume: string, target: nodeV1.NodeRecord): void {
    const why = tieOf(spec, volume) ?? this.#joinedBy(id);
    if (why)
      throw failedPrecondition(`container ${spec.name} cannot go along with volume ${volume}: ${why}; remove it first`);
    const networks = endpoints.map(({ networkId }) => networkId);
    const placement = place(this.#parts, {
      claim: claimOf(spec, ports),
      hostUsers: needsHostUsers(spec),
      constraints: [
        ...spec.constraints.map(parseConstraint),
        ...addressConstraints(this.#parts.state, ports),
        ...parentConstraints(this.#parts.state, networks),
        { text: `node.id==${target.id}`, soft: false, matches: (node) => node.id === target.id },
      ],
      runtime: spec.runtime,
      encrypted: encryptedAmong(this.#parts.state.networks, networks),
    });
    if (!placement.node)
      throw failedPrecondition(`container ${spec.name} cannot go along with volume ${volume}: ${placement.reason}`);
  }

  #joinedBy(id: string): string | undefined {
    for (const { spec } of this.#parts.state.records.values())
      if (spec && joins(spec).includes(id)) return `container ${spec.name} has a namespace of it`;
    return undefined;
  }
}

const joins = (spec: containerV1.ContainerSpec): string[] =>
  [spec.network?.mode ?? '', spec.ipcMode, spec.pidMode]
    .filter((mode) => mode.startsWith('container:'))
    .map((mode) => mode.slice('container:'.length));

function tieOf(spec: containerV1.ContainerSpec, volume: string): string | undefined {
  for (const { type, source, anonymous, apiSocket } of spec.mounts) {
    // The cluster's API is everywhere.
    if (type === 'bind' && !apiSocket) return `it has the bind mount of ${source}, which is its host's`;
    if (type === 'volume' && anonymous) return `it has the anonymous volume ${source.slice(0, 12)}`;
    if (type === 'volume' && source !== volume) return `it uses volume ${source} too`;
  }
  const [joined] = joins(spec);
  return joined ? `it has a namespace of container ${joined.slice(0, 12)}` : undefined;
}

/** Errors: not-found, invalid-argument when several are called so. */
export function nodeOf(nodes: Iterable<nodeV1.NodeRecord>, wanted: string): nodeV1.NodeRecord {
  const found = [...nodes].filter(({ id, facts }) => id === wanted || facts?.hostname === wanted);
  const [only, ...others] = found;
  if (!only) throw notFound(`no node ${wanted}: atoll node ls lists them`);
  if (others.length > 0)
    throw invalidArgument(`${found.length} nodes are called ${wanted}: use an id of atoll node ls`);
  return only;
}

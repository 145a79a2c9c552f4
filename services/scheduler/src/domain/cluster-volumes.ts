import { randomBytes } from 'node:crypto';
import { conflict, invalidArgument, notFound, unavailable } from '@atoll/errors';
import { containerV1, volumeV1 } from '@atoll/proto';
import type { TermParts } from './term-parts.ts';
import type { VolumeLeftovers } from './volume/volume-leftovers.ts';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/;

/** The volumes of the cluster: their records. What is in them is their host's. */
export class ClusterVolumes {
  readonly #parts: TermParts;
  readonly #leftovers: VolumeLeftovers;
  readonly #leaving = new Set<string>();

  constructor(parts: TermParts, leftovers: VolumeLeftovers) {
    this.#parts = parts;
    this.#leftovers = leftovers;
  }

  /** Errors: invalid-argument (name, driver); conflict when one of that name has other options. */
  create(asked: volumeV1.VolumeRecord): Promise<volumeV1.VolumeRecord> {
    const name = asked.name || randomBytes(32).toString('hex');
    checkVolumeName(name);
    if (asked.driver !== '' && asked.driver !== 'local') throw notFound(`plugin "${asked.driver}" not found`);
    return this.#turn(name, async () => {
      const existing = this.#parts.state.volumes.records.get(name);
      const busy = this.#parts.state.volumes.busy(name);
      if (existing?.operation?.kind === volumeV1.VolumeOperationKind.CREATE) throw conflict(`create ${name}: ${busy}`);
      if (existing) return sameOptions(existing, asked);
      const nodeId = this.#parts.state.volumes.hostOf(name) ?? '';
      return await this.#put({ ...asked, name, nodeId, anonymous: asked.name === '' });
    });
  }

  /**
   * The revision of the deletion. Errors: not-found; conflict with Docker's text while containers have it; unavailable when
   * its host is down and `force` is not set.
   */
  remove(name: string, force: boolean): Promise<bigint> {
    return this.#turn(name, async () => {
      const { state, writes, orders, sessions } = this.#parts;
      const users = [...this.#users(name)];
      if (users.length > 0 || state.volumes.isUsed(name))
        throw conflict(`remove ${name}: volume is in use - [${users.join(', ')}]`);
      const record = state.volumes.records.get(name);
      if (!record) throw notFound(`get ${name}: no such volume`);
      const busy = state.volumes.busy(name);
      if (busy && (!force || sessions.get(record.nodeId))) throw conflict(`remove ${name}: ${busy}`);
      this.#leaving.add(name);
      try {
        if (record.nodeId !== '' && (!force || sessions.get(record.nodeId))) await this.#removeFiles(record, orders);
        else await this.#leaveFiles(record);
        const revision = await writes.deleteVolume(name);
        await this.#freeMembers(record);
        for (const kept of new Set([record.keptNodeId, record.operation?.targetNodeId ?? '']))
          if (kept !== '') void this.#leftovers.forget(kept, name);
        this.#parts.events.volume(record, 'destroy');
        return revision;
      } finally {
        this.#leaving.delete(name);
      }
    });
  }

  /**
   * The spec with what its volumes were created with, for the host to go by. Errors: conflict while one of them is being removed
   * or when other options are asked for.
   */
  settle(spec: containerV1.ContainerSpec): containerV1.ContainerSpec {
    const mounts = spec.mounts.map((mount) => {
      if (mount.type !== 'volume') return mount;
      if (this.#leaving.has(mount.source)) throw conflict(`volume ${mount.source} is being removed`);
      const busy = this.#parts.state.volumes.busy(mount.source);
      if (busy) throw conflict(`${busy}; try again when that is over`);
      const record = this.#parts.state.volumes.records.get(mount.source);
      if (!record) return mount;
      const { options } = sameOptions(record, { options: mount.volumeOptions });
      return { ...mount, volumeOptions: options };
    });
    return { ...spec, mounts };
  }

  /** Keeps in records which named volumes a container brings with it, and that their host is its host. */
  async keep(record: containerV1.ContainerRecord): Promise<void> {
    const { state } = this.#parts;
    const wanted = (record.spec?.mounts ?? []).filter(
      (mount) => mount.type === 'volume' && !mount.anonymous && !mount.inherited && mount.source !== '',
    );
    for (const mount of new Map(wanted.map((one) => [one.source, one])).values()) {
      if (state.volumes.records.get(mount.source)?.nodeId) continue;
      await this.#turn(mount.source, async () => {
        const known = state.volumes.records.get(mount.source);
        if (known?.nodeId) return;
        const { source: name, volumeLabels: labels, volumeOptions: options } = mount;
        await this.#put({
          ...(known ?? volumeV1.VolumeRecord.fromPartial({ name, labels, options })),
          nodeId: record.nodeId,
        });
      });
    }
  }

  /** Errors: conflict while something goes on with anonymous volumes that would go with the container. */
  assertSettled({ spec }: containerV1.ContainerRecord): void {
    for (const { type, anonymous, source } of spec?.mounts ?? []) {
      const busy = type === 'volume' && anonymous ? this.#parts.state.volumes.busy(source) : undefined;
      if (busy) throw conflict(`cannot remove container "/${spec?.name}": ${busy}; try again when that is over`);
    }
  }

  /** Anonymous volumes that a container leaves behind: from now on their records are all that is known of them. */
  async leaveBehind(record: containerV1.ContainerRecord): Promise<void> {
    for (const mount of record.spec?.mounts ?? []) {
      if (mount.type !== 'volume' || !mount.anonymous || this.#parts.state.volumes.records.get(mount.source)) continue;
      const others = [...this.#users(mount.source)].filter((id) => id !== record.id);
      if (others.length > 0) continue;
      await this.#parts.writes.putVolume(
        volumeV1.VolumeRecord.fromPartial({
          name: mount.source,
          driver: 'local',
          labels: mount.volumeLabels,
          options: mount.volumeOptions,
          nodeId: record.nodeId,
          createdAtNs: record.createdAtNs,
          anonymous: true,
        }),
      );
    }
  }

  async #put(record: volumeV1.VolumeRecord): Promise<volumeV1.VolumeRecord> {
    const isNew = record.createdAtNs === 0n;
    const createdAtNs = isNew ? BigInt(Date.now()) * 1_000_000n : record.createdAtNs;
    const stored = await this.#parts.writes.putVolume({ ...record, driver: 'local', createdAtNs });
    if (isNew) this.#parts.events.volume(stored, 'create');
    return stored;
  }

  /** Its host is away; of a move that was given up another one may have a copy too. */
  async #leaveFiles({ name, nodeId, operation }: volumeV1.VolumeRecord): Promise<void> {
    const hosts = [nodeId, operation?.sourceNodeId ?? '', operation?.targetNodeId ?? ''];
    for (const host of new Set(hosts)) if (host !== '') await this.#leftovers.leave(host, name);
  }

  /** Nobody brings a move to its end whose deciding volume was removed: the others are where it was. */
  async #freeMembers({ nodeId, operation }: volumeV1.VolumeRecord): Promise<void> {
    const { state, writes } = this.#parts;
    for (const name of operation?.members ?? []) {
      const member = state.volumes.records.get(name);
      if (!operation || member?.operation?.id !== operation.id) continue;
      await writes.putVolume({ ...member, nodeId, operation: undefined });
      const { sourceNodeId, targetNodeId } = operation;
      await this.#leftovers.leave(nodeId === targetNodeId ? sourceNodeId : targetNodeId, name);
    }
  }

  async #removeFiles(record: volumeV1.VolumeRecord, orders: TermParts['orders']): Promise<void> {
    const host = this.#parts.state.nodes.get(record.nodeId);
    if (!host) return;
    if (!this.#parts.sessions.get(record.nodeId)) {
      throw unavailable(
        `volume ${record.name} is on host ${host.facts?.hostname ?? host.id}, which is not connected: bring it back, or remove the volume with force`,
      );
    }
    await orders.removeVolume(record.nodeId, record.name);
  }

  *#users(name: string): Generator<string> {
    for (const { id, spec, desired } of this.#parts.state.records.values()) {
      if (desired === containerV1.DesiredState.REMOVED) continue;
      if (spec?.mounts.some((mount) => mount.type === 'volume' && mount.source === name)) yield id;
    }
  }

  #turn<T>(name: string, run: () => Promise<T>): Promise<T> {
    return this.#parts.turns.run(`volume ${name}`, this.#parts.signal, run);
  }
}

/** Errors: invalid-argument with Docker's text: the name becomes a path on a host. */
export function checkVolumeName(name: string): void {
  if (name.length === 1) {
    throw invalidArgument('volume name is too short, names should be at least two alphanumeric characters');
  }
  if (!NAME.test(name)) {
    throw invalidArgument(
      `"${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  }
}

/** Who asks for no options takes the volume as it is. */
function sameOptions(
  record: volumeV1.VolumeRecord,
  asked: Pick<volumeV1.VolumeRecord, 'options'>,
): volumeV1.VolumeRecord {
  const wanted = Object.entries(asked.options);
  const differs = wanted.some(([name, value]) => record.options[name] !== value);
  if (wanted.length > 0 && (differs || wanted.length !== Object.keys(record.options).length)) {
    throw conflict(`volume ${record.name} exists already, with other driver options`);
  }
  return record;
}

import { alreadyExists, cancelled, conflict, failedPrecondition, invalidArgument } from '@atoll/errors';
import { nodeV1, volumeV1 } from '@atoll/proto';
import { checkVolumeName } from '../cluster-volumes.ts';
import { failpoint } from '../failpoint.ts';
import { place, type TermParts } from '../term-parts.ts';
import { type BusyVolume, VolumeOperations } from './volume-operations.ts';
import { nodeOf } from './volume-targets.ts';

const K = volumeV1.VolumeOperationKind;

/** Backups with stopped users, and volumes that are made from backups or from each other. */
export class VolumeCopying {
  readonly #parts: TermParts;
  readonly #operations: VolumeOperations;

  constructor(parts: TermParts, operations: VolumeOperations) {
    this.#parts = parts;
    this.#operations = operations;
  }

  /** Its users are stopped from the first answer until the call ends. */
  async *hold(request: volumeV1.HoldVolumeRequest, signal: AbortSignal): AsyncGenerator<volumeV1.HoldVolumeResponse> {
    const { name, timeoutSeconds } = request;
    const record = await this.#turn(name, async () => {
      const operation = VolumeOperations.draft(K.BACKUP);
      return await this.#note({ ...this.#operations.readable(name), operation });
    });
    const life = AbortSignal.any([signal, this.#parts.signal]);
    try {
      yield { volume: await this.#operations.stopUsers(record, this.#operations.users(name), timeoutSeconds, life) };
      await aborted(life);
    } finally {
      await this.#operations.settle(name, record.operation.id).catch(() => undefined);
    }
  }

  async *clone(
    request: volumeV1.CloneVolumeRequest,
    signal: AbortSignal,
  ): AsyncGenerator<volumeV1.CloneVolumeResponse> {
    const { name, newName, live, labels } = request;
    const source = this.#operations.readable(name);
    const record = await this.#turn(newName, async () => {
      this.#assertNew(newName);
      return await this.#note(fresh(newName, source.nodeId, labels));
    });
    const life = AbortSignal.any([signal, this.#parts.signal]);
    try {
      yield { progress: { phase: 'copying', bytes: 0n, volume: undefined, name: '' } };
      const order = { operation: record.operation.id, newName, live };
      await this.#parts.orders.volume(nodeV1.Action.CLONE_VOLUME, source.nodeId, name, order, { signal: life });
      yield { progress: { phase: 'done', bytes: 0n, volume: await this.#finish(record, labels), name: newName } };
    } finally {
      await this.#operations.settle(newName, record.operation.id).catch(() => undefined);
    }
  }

  async *restore(
    requests: AsyncIterable<volumeV1.RestoreVolumeRequest>,
    signal: AbortSignal,
  ): AsyncGenerator<volumeV1.RestoreVolumeResponse> {
    const input = requests[Symbol.asyncIterator]();
    const first = await input.next();
    const start = first.done ? undefined : first.value.message;
    if (start?.$case !== 'start') throw invalidArgument('a restore begins with its start');
    const record = await this.#turn(start.value.name, () => this.#prepare(start.value));
    failpoint('restore.1-noted');
    try {
      yield { volume: record };
      const life = AbortSignal.any([signal, this.#parts.signal]);
      const next = await Promise.race([input.next(), aborted(life)]);
      const commit = !next || next.done ? undefined : next.value.message;
      if (commit?.$case !== 'commit') throw cancelled(`the restore of volume ${record.name} ended before it was whole`);
      const volume = await this.#finish(record, commit.value.labels);
      failpoint('restore.2-committed');
      yield { volume };
    } finally {
      await this.#operations.settle(record.name, record.operation.id).catch(() => undefined);
    }
  }

  async #prepare({ name, node, force }: volumeV1.RestoreVolumeStart): Promise<BusyVolume> {
    const { state } = this.#parts;
    const existing = state.volumes.records.get(name);
    if (!existing || !force) {
      this.#assertNew(name);
      return await this.#note(fresh(name, this.#choose(name, node), {}));
    }
    const busy = state.volumes.busy(name);
    if (busy) throw conflict(`${busy}; try again when that is over`);
    const users = this.#operations.users(name);
    if (users.length > 0)
      throw conflict(`volume ${name} is in use by ${users.map(({ spec }) => spec.name).join(', ')}: remove them first`);
    if (existing.nodeId === '') {
      const nodeId = this.#choose(name, node);
      return await this.#note({ ...existing, nodeId, operation: VolumeOperations.draft(K.REPLACE) });
    }
    const readable = this.#operations.readable(name);
    if (node !== '' && nodeOf(state.nodes.values(), node).id !== readable.nodeId)
      throw failedPrecondition(
        `volume ${name} is on host ${this.#operations.hostname(readable.nodeId)}: restore it there, or remove it first`,
      );
    return await this.#note({ ...readable, operation: VolumeOperations.draft(K.REPLACE) });
  }

  /** Errors: failed-precondition that says why no host takes it. */
  #choose(name: string, node: string): string {
    const { state } = this.#parts;
    const wanted = node === '' ? undefined : nodeOf(state.nodes.values(), node).id;
    const placement = place(this.#parts, {
      claim: { memory: 0, nanoCpus: 0, ports: [] },
      constraints: [
        {
          text: `volume ${name}: files of an earlier one are to be removed there first`,
          soft: false,
          matches: ({ id }) => !state.volumes.hasLeftover(id, name),
        },
        ...(wanted === undefined
          ? []
          : [
              {
                text: `node.hostname==${node}`,
                soft: false,
                matches: ({ id }: { readonly id: string }) => id === wanted,
              },
            ]),
      ],
    });
    if (!placement.node) throw failedPrecondition(placement.reason);
    return placement.node.facts.id;
  }

  #assertNew(name: string): void {
    checkVolumeName(name);
    const { volumes } = this.#parts.state;
    const busy = volumes.busy(name);
    if (busy) throw conflict(busy);
    if (volumes.records.get(name) || volumes.isUsed(name) || this.#operations.users(name).length > 0)
      throw alreadyExists(`volume ${name} exists already: choose another name or remove it`);
  }

  async #note(record: BusyVolume): Promise<BusyVolume> {
    return { ...(await this.#parts.writes.putVolume(record)), operation: record.operation };
  }

  /** The write that makes it visible. */
  async #finish(record: BusyVolume, labels: Record<string, string>): Promise<volumeV1.VolumeRecord> {
    const isNew = record.operation.kind === K.CREATE;
    const known = this.#parts.state.volumes.records.get(record.name);
    if (known?.operation?.id !== record.operation.id) throw cancelled(`volume ${record.name} was given up meanwhile`);
    const whole = { ...record, operation: undefined, ...(isNew && { labels }) };
    const stored = await this.#parts.writes.putVolume(whole);
    if (isNew) this.#parts.events.volume(stored, 'create');
    return stored;
  }

  #turn<T>(name: string, task: () => Promise<T>): Promise<T> {
    return this.#parts.turns.run(`volume ${name}`, this.#parts.signal, task);
  }
}

function fresh(name: string, nodeId: string, labels: Record<string, string>): BusyVolume {
  const operation = VolumeOperations.draft(K.CREATE);
  const createdAtNs = BigInt(Date.now()) * 1_000_000n;
  return {
    ...volumeV1.VolumeRecord.fromPartial({ name, driver: 'local', labels, nodeId, createdAtNs }),
    operation,
  };
}

function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }));
}

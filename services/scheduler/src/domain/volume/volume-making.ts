import { alreadyExists, cancelled, conflict } from '@atoll/errors';
import { volumeV1 } from '@atoll/proto';
import { checkVolumeName } from '../cluster-volumes.ts';
import type { TermParts } from '../term-parts.ts';
import { type BusyVolume, VolumeOperations } from './volume-operations.ts';

const K = volumeV1.VolumeOperationKind;

/** The records of volumes that are made from something else: nobody sees one before it is whole. */
export class VolumeMaking {
  readonly #parts: TermParts;
  readonly #operations: VolumeOperations;

  constructor(parts: TermParts, operations: VolumeOperations) {
    this.#parts = parts;
    this.#operations = operations;
  }

  /** The record of one that is not there yet, to be noted. */
  static fresh(
    name: string,
    nodeId: string,
    labels: Record<string, string>,
    operation = VolumeOperations.draft(K.CREATE),
  ): BusyVolume {
    const createdAtNs = BigInt(Date.now()) * 1_000_000n;
    return {
      ...volumeV1.VolumeRecord.fromPartial({ name, driver: 'local', labels, nodeId, createdAtNs }),
      operation,
    };
  }

  /** Errors: invalid-argument, conflict, already-exists. */
  assertNew(name: string): void {
    checkVolumeName(name);
    const { volumes } = this.#parts.state;
    const busy = volumes.busy(name);
    if (busy) throw conflict(`${busy}; try again when that is over`);
    if (volumes.records.get(name) || volumes.isUsed(name) || this.#operations.users(name).length > 0)
      throw alreadyExists(`volume ${name} exists already: choose another name or remove it`);
  }

  async note(record: BusyVolume): Promise<BusyVolume> {
    return { ...(await this.#parts.writes.putVolume(record)), operation: record.operation };
  }

  /** The write that makes it visible. `labels`: of one that is new. Errors: cancelled when the operation is over. */
  async finish(record: BusyVolume, labels: Record<string, string>, restoredBy: string): Promise<volumeV1.VolumeRecord> {
    const isNew = record.operation.kind === K.CREATE;
    const known = this.#parts.state.volumes.records.get(record.name);
    if (known?.operation?.id !== record.operation.id) throw cancelled(`volume ${record.name} was given up meanwhile`);
    const whole = { ...record, operation: undefined, restoredBy, ...(isNew && { labels }) };
    const stored = await this.#parts.writes.putVolume(whole);
    if (isNew) this.#parts.events.volume(stored, 'create');
    return stored;
  }

  turn<T>(name: string, task: () => Promise<T>): Promise<T> {
    return this.#parts.turns.run(`volume ${name}`, this.#parts.signal, task);
  }
}

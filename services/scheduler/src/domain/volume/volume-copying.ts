import { nodeV1, volumeV1 } from '@atoll/proto';
import type { TermParts } from '../term-parts.ts';
import { untilAborted } from '../until-aborted.ts';
import { VolumeMaking } from './volume-making.ts';
import { VolumeOperations } from './volume-operations.ts';

/** Backups with stopped users, and volumes that are made from each other. */
export class VolumeCopying {
  readonly #parts: TermParts;
  readonly #operations: VolumeOperations;
  readonly #making: VolumeMaking;

  constructor(parts: TermParts, operations: VolumeOperations, making: VolumeMaking) {
    this.#parts = parts;
    this.#operations = operations;
    this.#making = making;
  }

  /** Its users are stopped from the first answer until the call ends. */
  async *hold(request: volumeV1.HoldVolumeRequest, signal: AbortSignal): AsyncGenerator<volumeV1.HoldVolumeResponse> {
    const { name, timeoutSeconds } = request;
    const record = await this.#making.turn(name, async () => {
      const operation = VolumeOperations.draft(volumeV1.VolumeOperationKind.BACKUP);
      return await this.#making.note({ ...this.#operations.readable(name), operation });
    });
    const life = AbortSignal.any([signal, this.#parts.signal]);
    try {
      yield { volume: await this.#operations.stopUsers(record, this.#operations.users(name), timeoutSeconds, life) };
      await untilAborted(life);
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
    const record = await this.#making.turn(newName, async () => {
      this.#making.assertNew(newName);
      return await this.#making.note(VolumeMaking.fresh(newName, source.nodeId, labels));
    });
    const life = AbortSignal.any([signal, this.#parts.signal]);
    try {
      yield { progress: { phase: 'copying', bytes: 0n, volume: undefined, name: '' } };
      const order = { operation: record.operation.id, newName, live };
      await this.#parts.orders.volume(nodeV1.Action.CLONE_VOLUME, source.nodeId, name, order, { signal: life });
      const volume = await this.#making.finish(record, labels, '');
      yield { progress: { phase: 'done', bytes: 0n, volume, name: newName } };
    } finally {
      await this.#operations.settle(newName, record.operation.id).catch(() => undefined);
    }
  }
}

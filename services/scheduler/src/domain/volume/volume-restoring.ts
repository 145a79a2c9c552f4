import { cancelled, conflict, failedPrecondition, invalidArgument, notFound } from '@atoll/errors';
import { volumeV1 } from '@atoll/proto';
import { failpoint } from '../failpoint.ts';
import { place, type TermParts } from '../term-parts.ts';
import { untilAborted } from '../until-aborted.ts';
import { VolumeMaking } from './volume-making.ts';
import { type BusyVolume, VolumeOperations } from './volume-operations.ts';
import { nodeOf } from './volume-targets.ts';

const K = volumeV1.VolumeOperationKind;
const RESTORE_ID = /^[0-9a-f]{32}$/;
/** Names that restores which were cut may keep from others at a time; one more is given up at once. */
const MAX_WAITING = 64;

/** One that goes on: calls carry it, or it waits for the next one. */
interface Restore {
  readonly record: BusyVolume;
  readonly life: AbortController;
  calls: number;
  waiting: NodeJS.Timeout | undefined;
}

/** Volumes that are made from backups. Those that have an id outlive their calls for a while, but not the term. */
export class VolumeRestoring {
  readonly #parts: TermParts;
  readonly #operations: VolumeOperations;
  readonly #making: VolumeMaking;
  readonly #waitMs: number;
  readonly #restores = new Map<string, Restore>();

  constructor(parts: TermParts, operations: VolumeOperations, making: VolumeMaking, waitMs: number) {
    this.#parts = parts;
    this.#operations = operations;
    this.#making = making;
    this.#waitMs = waitMs;
  }

  /** See VolumeService.RestoreVolume. */
  async *restore(
    requests: AsyncIterable<volumeV1.RestoreVolumeRequest>,
    signal: AbortSignal,
  ): AsyncGenerator<volumeV1.RestoreVolumeResponse> {
    const input = requests[Symbol.asyncIterator]();
    const first = await input.next();
    const start = first.done ? undefined : first.value.message;
    if (start?.$case !== 'start') throw invalidArgument('a restore begins with its start');
    const { restoreId, resume } = start.value;
    const done = resume ? this.#done(start.value) : undefined;
    if (done) return yield { volume: done };
    const restore = resume ? this.#join(start.value) : await this.#begin(start.value);
    const { record } = restore;
    let over = restoreId === '';
    try {
      yield { volume: record };
      const life = AbortSignal.any([signal, this.#parts.signal, restore.life.signal]);
      const next = await Promise.race([input.next(), untilAborted(life)]);
      const message = !next || next.done ? undefined : next.value.message;
      over ||= message?.$case === 'commit' || message?.$case === 'discard';
      if (message?.$case === 'discard') return;
      if (message?.$case !== 'commit')
        throw cancelled(`the restore of volume ${record.name} ended before it was whole`);
      const volume = await this.#making.finish(record, message.value.labels, restoreId);
      failpoint('restore.2-committed');
      yield { volume };
    } finally {
      restore.calls--;
      if (over) await this.#end(restore);
      else await this.#wait(restore);
    }
  }

  async #begin(start: volumeV1.RestoreVolumeStart): Promise<Restore> {
    const { name, restoreId } = start;
    if (restoreId !== '' && !RESTORE_ID.test(restoreId))
      throw invalidArgument(`restore id ${JSON.stringify(restoreId)} is not 32 hex digits`);
    const record = await this.#making.turn(name, () => this.#prepare(start));
    const restore = { record, life: new AbortController(), calls: 1, waiting: undefined };
    this.#restores.set(record.operation.id, restore);
    failpoint('restore.1-noted');
    return restore;
  }

  /** Errors: not-found. */
  #join({ name, restoreId }: volumeV1.RestoreVolumeStart): Restore {
    const restore = this.#restores.get(restoreId);
    if (restore?.record.name !== name)
      throw notFound(`no restore of volume ${name} goes on under the id ${JSON.stringify(restoreId)}: begin anew`);
    clearTimeout(restore.waiting);
    restore.waiting = undefined;
    restore.calls++;
    failpoint('resume.2-joined');
    return restore;
  }

  /** The volume, when it was committed and whoever asks has not heard of that. */
  #done({ name, restoreId }: volumeV1.RestoreVolumeStart): volumeV1.VolumeRecord | undefined {
    const record = this.#parts.state.volumes.records.get(name);
    if (!record || restoreId === '' || record.restoredBy !== restoreId) return undefined;
    return { ...record, operation: undefined };
  }

  /** Its last call has ended without a word: another one may come. */
  async #wait(restore: Restore): Promise<void> {
    const { id } = restore.record.operation;
    if (restore.calls > 0 || this.#restores.get(id) !== restore) return;
    const waiting = [...this.#restores.values()].filter((other) => other.waiting !== undefined);
    if (waiting.length >= MAX_WAITING || this.#parts.signal.aborted) return await this.#end(restore);
    restore.waiting = setTimeout(() => void this.#end(restore), this.#waitMs).unref();
    failpoint('resume.1-waiting');
  }

  async #end(restore: Restore): Promise<void> {
    const { name, operation } = restore.record;
    clearTimeout(restore.waiting);
    if (this.#restores.get(operation.id) === restore) this.#restores.delete(operation.id);
    restore.life.abort(new DOMException('the restore is over', 'AbortError'));
    await this.#operations.settle(name, operation.id).catch(() => undefined);
  }

  async #prepare({ name, node, force, restoreId }: volumeV1.RestoreVolumeStart): Promise<BusyVolume> {
    const { state } = this.#parts;
    if (restoreId !== '' && this.#isTaken(restoreId))
      throw conflict(`restore id ${restoreId} is in use: choose another one`);
    const draft = (kind: volumeV1.VolumeOperationKind) =>
      VolumeOperations.draft(kind, restoreId === '' ? {} : { id: restoreId });
    const existing = state.volumes.records.get(name);
    if (!existing || !force) {
      this.#making.assertNew(name);
      return await this.#making.note(VolumeMaking.fresh(name, this.#choose(name, node), {}, draft(K.CREATE)));
    }
    const busy = state.volumes.busy(name);
    if (busy) throw conflict(`${busy}; try again when that is over`);
    const users = this.#operations.users(name);
    if (users.length > 0)
      throw conflict(`volume ${name} is in use by ${users.map(({ spec }) => spec.name).join(', ')}: remove them first`);
    if (existing.nodeId === '') {
      const nodeId = this.#choose(name, node);
      return await this.#making.note({ ...existing, nodeId, operation: draft(K.REPLACE) });
    }
    const readable = this.#operations.readable(name);
    if (node !== '' && nodeOf(state.nodes.values(), node).id !== readable.nodeId)
      throw failedPrecondition(
        `volume ${name} is on host ${this.#operations.hostname(readable.nodeId)}: restore it there, or remove it first`,
      );
    return await this.#making.note({ ...readable, operation: draft(K.REPLACE) });
  }

  /** Whoever chooses the id of another operation must not have that one disturbed. */
  #isTaken(id: string): boolean {
    for (const { operation } of this.#parts.state.volumes.records.values()) if (operation?.id === id) return true;
    return false;
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
}

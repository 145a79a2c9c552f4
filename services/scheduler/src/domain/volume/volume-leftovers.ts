import { hasReason, unavailable } from '@atoll/errors';
import { nodeV1, volumeV1 } from '@atoll/proto';
import type { TermParts } from '../term-parts.ts';
import { leftoverId } from '../volume-hosts.ts';

const END_WAIT_MS = 10_000;

/** Files that a host is to remove when it is heard: explicit tombstones, kept until it has done so. */
export class VolumeLeftovers {
  readonly #parts: TermParts;
  /** Operations of this term that a host which is away does not know the end of. */
  readonly #ended = new Map<string, Set<string>>();

  constructor(parts: TermParts) {
    this.#parts = parts;
  }

  /** Durable once this resolves; removed at once when the host is connected. */
  async leave(nodeId: string, name: string): Promise<void> {
    const { state, writes, sessions } = this.#parts;
    if (!state.nodes.get(nodeId)) return;
    const leftover = volumeV1.VolumeLeftover.fromPartial({ nodeId, name });
    await writes.putLeftover(leftover);
    if (sessions.get(nodeId)) await this.#clean(leftover);
  }

  /** Has a host remove files now, or when it is back. */
  async remove(nodeId: string, name: string): Promise<void> {
    const { sessions, orders } = this.#parts;
    if (sessions.get(nodeId)) {
      try {
        return await orders.removeVolume(nodeId, name);
      } catch (error) {
        if (!hasReason(error, 'unavailable', 'deadline-exceeded')) throw error;
      }
    }
    await this.leave(nodeId, name);
  }

  /** Has a host forget an operation, now or when it is back; hosts forget those of an earlier leader by themselves. */
  async end(nodeId: string, operation: string): Promise<void> {
    const { sessions, orders } = this.#parts;
    try {
      if (!sessions.get(nodeId)) throw unavailable(`host ${nodeId} is not connected`);
      await orders.volume(nodeV1.Action.END_VOLUME, nodeId, '', { operation }, { waitMs: END_WAIT_MS });
    } catch (error) {
      if (!hasReason(error, 'unavailable', 'deadline-exceeded')) throw error;
      const ended = this.#ended.get(nodeId) ?? new Set();
      this.#ended.set(nodeId, ended.add(operation));
    }
  }

  /** Has a host drop what it keeps of a volume from a move that failed, if it is there: by itself it does so in a day. */
  async forget(nodeId: string, name: string): Promise<void> {
    const { sessions, orders, log } = this.#parts;
    if (!sessions.get(nodeId)) return;
    try {
      await orders.volume(nodeV1.Action.FORGET_VOLUME, nodeId, name, { operation: '' }, { waitMs: END_WAIT_MS });
    } catch (error) {
      log.warn({ node: nodeId, volume: name, err: error }, 'a host keeps part of a volume yet');
    }
  }

  sessionBegan(nodeId: string): void {
    const ended = this.#ended.get(nodeId) ?? [];
    this.#ended.delete(nodeId);
    for (const operation of ended) void this.end(nodeId, operation).catch(() => undefined);
    for (const leftover of this.#parts.state.volumes.leftovers.values())
      if (leftover.nodeId === nodeId) void this.#clean(leftover);
  }

  async #clean(leftover: volumeV1.VolumeLeftover): Promise<void> {
    const { turns, signal, log } = this.#parts;
    const { nodeId, name } = leftover;
    try {
      await turns.run(`leftover ${leftoverId(nodeId, name)}`, signal, () => this.#removeFiles(leftover));
    } catch (error) {
      if (!signal.aborted) {
        log.warn({ node: nodeId, volume: name, err: error }, 'files of a volume that is gone stay yet');
      }
    }
  }

  /** In turn, and only while the tombstone stands: once it has gone the name is free, and a new volume may be there. */
  async #removeFiles(leftover: volumeV1.VolumeLeftover): Promise<void> {
    const { state, orders, writes, log } = this.#parts;
    const { nodeId, name } = leftover;
    if (!state.volumes.hasLeftover(nodeId, name)) return;
    // A record that says they are there is a later word than the tombstone.
    if (state.volumes.records.get(name)?.nodeId !== nodeId) {
      await orders.removeVolume(nodeId, name);
      log.info({ node: nodeId, volume: name }, 'files of a volume that is gone were removed');
    }
    await writes.deleteLeftover(leftover);
  }
}

import { hasReason } from '@atoll/errors';
import { containerV1, nodeV1 } from '@atoll/proto';
import { planResync, type ResyncStep } from '@atoll/reconcile';
import type { ContainerRemoval } from './container-removal.ts';
import { desiredOf, reportedOf } from './decision-inputs.ts';
import type { TermParts } from './term-parts.ts';

/** Brings a host whose session begins to what is desired, by explicit orders. */
export class Resync {
  readonly #parts: TermParts;
  readonly #removal: ContainerRemoval;

  constructor(parts: TermParts, removal: ContainerRemoval) {
    this.#parts = parts;
    this.#removal = removal;
  }

  /** Takes over what the host reports and sends what it lacks; the orders' outcomes are followed in the background. */
  run(nodeId: string, reported: readonly containerV1.ContainerStatus[]): void {
    const { state, observations, log } = this.#parts;
    const records = new Map<string, ReturnType<typeof desiredOf>>();
    for (const record of state.onNode(nodeId)) records.set(record.id, desiredOf(record));
    for (const status of reported) {
      const record = state.records.get(status.id);
      if (!record) continue;
      records.set(record.id, desiredOf(record));
      if (record.nodeId === nodeId && status.state !== containerV1.ContainerState.REMOVED) {
        observations.report(record, status, true);
      }
    }
    const steps = planResync({
      nodeId,
      records,
      reported: reported.map(reportedOf),
      isTombstoned: (id) => state.records.isTombstoned(id),
    });
    const has = new Set(reported.map((status) => status.id));
    for (const step of steps) {
      if (step.kind === 'leave') {
        log.warn({ node: nodeId, container: step.id }, 'the host has a container nobody knows; it is left alone');
        continue;
      }
      this.#take(nodeId, step, has.has(step.id)).catch((error: unknown) => {
        if (this.#parts.signal.aborted) return;
        log.warn(
          { node: nodeId, container: step.id, step: step.kind, err: error },
          'a host could not be brought up to date',
        );
      });
    }
  }

  async #take(nodeId: string, step: ResyncStep, hostHasIt: boolean): Promise<void> {
    const { state, orders, observations, writes } = this.#parts;
    const record = state.records.get(step.id);
    switch (step.kind) {
      case 'remove':
        return this.#remove(nodeId, step.id, record);
      case 'forget':
        await writes.deleteContainer(step.id);
        observations.forget(step.id);
        return;
      case 'ensure':
        if (!record) return;
        if (!hostHasIt) observations.reset(record);
        await orders.send(nodeV1.Action.ENSURE, record);
        return;
      case 'start':
        if (record) await orders.send(nodeV1.Action.START, record);
        return;
      case 'stop':
        if (record) await orders.send(nodeV1.Action.STOP, record, { waitMs: undefined });
    }
  }

  async #remove(nodeId: string, id: string, record: containerV1.ContainerRecord | undefined): Promise<void> {
    const { orders, writes, log } = this.#parts;
    const own = record !== undefined && record.nodeId === nodeId;
    if (own && record.desired !== containerV1.DesiredState.REMOVED) {
      this.#removal.autoRemove(id);
      return;
    }
    log.info({ node: nodeId, container: id }, 'the host has a copy that is not wanted there; removing it');
    const stale = containerV1.ContainerRecord.fromPartial({ ...record, id, nodeId });
    try {
      await orders.send(nodeV1.Action.REMOVE, stale, { force: true, volumes: true });
    } catch (error) {
      if (!hasReason(error, 'not-found')) throw error;
    }
    if (own) await writes.deleteContainer(id);
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { hasReason } from '@atoll/errors';
import { containerV1, nodeV1 } from '@atoll/proto';
import { planResync, type ResyncStep } from '@atoll/reconcile';
import type { ContainerRemoval } from './container-removal.ts';
import { isActive } from './container-state.ts';
import { desiredOf, reportedOf } from './decision-inputs.ts';
import type { TermParts } from './term-parts.ts';

const { DesiredState } = containerV1;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8_000;

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
    const plans = new Map<string, ResyncStep[]>();
    for (const step of steps) {
      if (step.kind === 'leave') {
        log.warn({ node: nodeId, container: step.id }, 'the host has a container nobody knows; it is left alone');
        continue;
      }
      const plan = plans.get(step.id);
      if (plan) plan.push(step);
      else plans.set(step.id, [step]);
    }
    for (const [id, plan] of plans) void this.#follow(nodeId, id, plan, has.has(id));
  }

  /** One container's steps, one after the other; what fails for a while is tried again while the session lasts. */
  async #follow(nodeId: string, id: string, plan: readonly ResyncStep[], hostHasIt: boolean): Promise<void> {
    const { sessions, signal, log } = this.#parts;
    const session = sessions.get(nodeId);
    for (const step of plan) {
      for (let pause = FIRST_RETRY_MS; ; pause *= 2) {
        try {
          await this.#take(nodeId, step, hostHasIt);
          break;
        } catch (error) {
          if (signal.aborted || sessions.get(nodeId) !== session) return;
          log.warn(
            { node: nodeId, container: id, step: step.kind, err: error },
            'a host could not be brought up to date',
          );
          if (pause > LAST_RETRY_MS || hasReason(error, 'invalid-argument', 'unimplemented')) return;
        }
        await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  /** Things may have changed since the plan was made: each step looks again whether it is still wanted. */
  async #take(nodeId: string, step: ResyncStep, hostHasIt: boolean): Promise<void> {
    const { state, orders, observations, writes } = this.#parts;
    const record = state.records.get(step.id);
    if (step.kind === 'remove') return this.#remove(nodeId, step.id, record);
    if (record?.nodeId !== nodeId) return;
    const removed = record.desired === DesiredState.REMOVED;
    if (step.kind === 'forget') {
      await writes.deleteContainer(step.id);
      observations.forget(step.id);
    } else if (step.kind === 'ensure' && !removed) {
      if (!hostHasIt) observations.reset(record);
      await orders.send(nodeV1.Action.ENSURE, record);
      // What it missed may have been a change of networks.
      if (isActive(observations.status(record.id))) await orders.send(nodeV1.Action.CONNECT, record);
    } else if (step.kind === 'start' && record.desired === DesiredState.RUNNING) {
      await orders.send(nodeV1.Action.START, record);
    } else if (step.kind === 'stop' && record.desired === DesiredState.STOPPED) {
      await orders.send(nodeV1.Action.STOP, record, { waitMs: undefined });
    }
  }

  async #remove(nodeId: string, id: string, record: containerV1.ContainerRecord | undefined): Promise<void> {
    const { orders, writes, log } = this.#parts;
    const own = record !== undefined && record.nodeId === nodeId;
    if (own && record.desired !== DesiredState.REMOVED) {
      // Its own again since the plan was made, or a `--rm` container that has ended.
      if (record.spec?.autoRemove) this.#removal.autoRemove(id);
      return;
    }
    log.info({ node: nodeId, container: id }, 'the host has a copy that is not wanted there; removing it');
    // Of one that is gone altogether nobody knows whether its anonymous volumes were to go: they stay.
    const volumes = own ? record.removeVolumes : record !== undefined;
    const stale = containerV1.ContainerRecord.fromPartial({ ...record, id, nodeId });
    try {
      await orders.send(nodeV1.Action.REMOVE, stale, { force: true, volumes });
    } catch (error) {
      if (!hasReason(error, 'not-found')) throw error;
    }
    if (own) await writes.deleteContainer(id);
  }
}

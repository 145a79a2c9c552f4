import { setTimeout as sleep } from 'node:timers/promises';
import { conflict, hasReason } from '@atoll/errors';
import { containerV1, nodeV1 } from '@atoll/proto';
import type { ClusterVolumes } from './cluster-volumes.ts';
import { isActive, stateWord } from './container-state.ts';
import { failpoint } from './failpoint.ts';
import { isHostUp } from './host-up.ts';
import type { TermParts } from './term-parts.ts';

const { ContainerState, DesiredState } = containerV1;

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8_000;

/**
 * Removes containers with one durable write: the host first, then the record. Of one that has ended the record goes meanwhile: its host can
 * have no reason to keep it, and is told again until it has followed.
 */
export class ContainerRemoval {
  readonly #parts: TermParts;
  readonly #volumes: ClusterVolumes;
  readonly #running = new Set<string>();

  constructor(parts: TermParts, volumes: ClusterVolumes) {
    this.#parts = parts;
    this.#volumes = volumes;
  }

  /**
   * The revision of the deletion. Errors: not-found; conflict with Docker's text when it runs and `force` is not set, when a
   * removal is going on, or when its host is down and `force` is not set.
   */
  remove(request: containerV1.RemoveContainerRequest): Promise<bigint> {
    const { id, force, volumes } = request;
    const { writes, turns, signal } = this.#parts;
    const record = writes.container(id);
    if (this.#running.has(id)) {
      throw conflict(`removal of container ${record.spec.name} is already in progress`);
    }
    return turns.run(id, signal, () => this.#remove(id, force, volumes));
  }

  /** What `--rm` asks for, once the container has ended. */
  autoRemove(id: string): void {
    const { turns, signal, log } = this.#parts;
    if (this.#running.has(id)) return;
    turns
      .run(id, signal, () => this.#remove(id, true, true))
      .catch((error: unknown) => {
        if (signal.aborted || hasReason(error, 'not-found')) return;
        log.warn({ container: id, err: error }, 'an ended container could not be removed yet');
      });
  }

  async #remove(id: string, force: boolean, volumes: boolean): Promise<bigint> {
    const { writes, orders, observations, events } = this.#parts;
    const record = writes.container(id);
    if (volumes) this.#volumes.assertSettled(record);
    if (!force) await this.#assertStopped(record);
    if (!isHostUp(this.#parts, record)) return this.#removeLater(record, volumes);
    this.#running.add(id);
    failpoint('remove.1-begun');
    try {
      if (isActive(observations.status(id))) events.container(record, 'kill', { signal: '9' });
      const early = this.#hasLeftNothing(record) ? writes.deleteContainer(id) : undefined;
      early?.catch(() => undefined);
      const refusal = await orders.attempt(nodeV1.Action.REMOVE, record, { force, volumes });
      if (refusal && !hasReason(refusal, 'not-found')) {
        if (!early) throw refusal;
        void this.#insist(record, refusal);
      }
      failpoint('remove.2-obeyed');
      if (!early && !volumes) await this.#volumes.leaveBehind(record);
      const revision = await (early ?? writes.deleteContainer(id));
      failpoint('remove.3-deleted');
      observations.forget(id);
      events.container(record, 'destroy');
      failpoint('remove.4-told');
      return revision;
    } finally {
      this.#running.delete(id);
    }
  }

  #hasLeftNothing(record: containerV1.ContainerRecord): boolean {
    const status = this.#parts.observations.status(record.id);
    const hasEnded = status?.state === ContainerState.EXITED && status.nodeId === record.nodeId;
    return hasEnded && !record.spec?.mounts.some(({ anonymous }) => anonymous);
  }

  /** What is in vain until the host's next session is done then, for the record has left a tombstone. */
  async #insist(record: containerV1.ContainerRecord, first: unknown): Promise<void> {
    const { orders, signal, log } = this.#parts;
    let refusal = first;
    for (let pause = FIRST_RETRY_MS; pause <= LAST_RETRY_MS; pause *= 2) {
      log.warn({ container: record.id, err: refusal }, 'a removed container is still on its host');
      await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      refusal = await orders.attempt(nodeV1.Action.REMOVE, record, { force: true, volumes: false });
      if (!refusal || hasReason(refusal, 'not-found')) return;
    }
  }

  /** Its host is down: the wish is stored, the name is free, and the host is told when it comes back. */
  async #removeLater(record: containerV1.ContainerRecord, volumes: boolean): Promise<bigint> {
    const { writes, observations, events } = this.#parts;
    if (!volumes) await this.#volumes.leaveBehind(record);
    const stored = await writes.putContainer({
      ...record,
      desired: DesiredState.REMOVED,
      removeVolumes: volumes,
      generation: record.generation + 1n,
    });
    observations.forget(record.id);
    events.container(record, 'destroy');
    return stored.revision;
  }

  async #assertStopped(
    record: containerV1.ContainerRecord & { readonly spec: containerV1.ContainerSpec },
  ): Promise<void> {
    const known = this.#parts.observations.status(record.id);
    const status = isActive(known) ? await this.#parts.orders.freshStatus(record) : known;
    const what = `cannot remove container "/${record.spec.name}"`;
    if (status?.state === ContainerState.PAUSED)
      throw conflict(`${what}: container is paused and must be unpaused first`);
    if (isActive(status)) {
      throw conflict(
        `${what}: container is ${stateWord(status?.state)}: stop the container before removing or force remove`,
      );
    }
    if (status?.state === ContainerState.LOST) {
      throw conflict(`${what}: ${status.error}: bring the host back or force remove`);
    }
  }
}

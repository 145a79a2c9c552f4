import { containerV1, nodeV1 } from '@atoll/proto';
import { planNodeLoss } from '@atoll/reconcile';
import { parseConstraint } from '@atoll/scheduling';
import { claimOf } from './claim.ts';
import { isActive } from './container-state.ts';
import { desiredOf } from './decision-inputs.ts';
import { abilitiesFor } from './host-abilities.ts';
import { encryptedAmong } from './network/encryption.ts';
import { parentConstraints } from './network/parent-hosts.ts';
import { addressConstraints } from './port-scope.ts';
import { place, type TermParts } from './term-parts.ts';

const RETRY_MS = 2_000;

/** What becomes of the containers of a host that is down or drained. */
export class NodeFailure {
  readonly #parts: TermParts;
  /** Containers that are to run elsewhere and found no host yet. */
  readonly #waiting = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: TermParts) {
    this.#parts = parts;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  down(nodeId: string): void {
    const { state, log } = this.#parts;
    const hostname = this.#hostname(nodeId);
    const steps = planNodeLoss([...state.onNode(nodeId)].map(desiredOf));
    log.warn({ node: nodeId, containers: steps.length }, 'host is down');
    for (const step of steps) {
      const record = state.records.get(step.id);
      if (!record) continue;
      const why = step.kind === 'lose' && step.why !== '' ? `; ${step.why}` : '';
      if (this.#mayRun(record)) this.#parts.observations.lose(record, `host ${hostname} is down${why}`);
      if (step.kind === 'replace') void this.#replace(step.id);
    }
  }

  /** Moves what may run elsewhere off a host that takes no more work. */
  drain(nodeId: string): void {
    for (const step of planNodeLoss([...this.#parts.state.onNode(nodeId)].map(desiredOf))) {
      if (step.kind === 'replace') void this.#replace(step.id);
    }
  }

  /** A host is back or new: what waits for one may fit now. */
  retry(): void {
    for (const id of this.#waiting) void this.#replace(id);
  }

  async #replace(id: string): Promise<void> {
    const { turns, signal, log } = this.#parts;
    this.#waiting.delete(id);
    try {
      await turns.run(id, signal, () => this.#move(id));
    } catch (error) {
      if (signal.aborted) return;
      log.warn({ container: id, err: error }, 'a container could not be placed anew yet');
      this.#wait(id);
    }
  }

  async #move(id: string): Promise<void> {
    const { state, writes, observations, orders, events, sessions, ports, log } = this.#parts;
    const record = state.records.get(id);
    if (!record?.spec || !this.#hasToMove(record)) return;
    // It goes where its volumes go, and until that is known nowhere.
    if (record.spec.mounts.some(({ type, source }) => type === 'volume' && state.volumes.busy(source))) {
      this.#wait(id);
      return;
    }
    const placement = place(this.#parts, {
      claim: claimOf(record.spec, record.ports),
      ...abilitiesFor(record.spec),
      constraints: [
        ...record.spec.constraints.map(parseConstraint),
        ...addressConstraints(state, record.ports),
        ...parentConstraints(
          state,
          record.endpoints.map(({ networkId }) => networkId),
        ),
      ],
      runtime: record.spec.runtime,
      avoid: new Set([record.nodeId]),
      encrypted: encryptedAmong(
        state.networks,
        record.endpoints.map(({ networkId }) => networkId),
      ),
    });
    if (!placement.node || placement.node.facts.id === record.nodeId) {
      const reason = placement.node ? 'no other host takes it' : placement.reason;
      if (!this.#parts.health.isReady(record.nodeId))
        observations.lose(record, `host ${this.#hostname(record.nodeId)} is down; ${reason}`);
      this.#wait(id);
      return;
    }
    const moved: containerV1.ContainerRecord = {
      ...record,
      nodeId: placement.node.facts.id,
      generation: record.generation + 1n,
      placements: record.placements + 1,
      lostReason: '',
    };
    moved.ports = ports.settle(moved);
    const release = ports.take(moved);
    const stored = await writes.putContainer(moved).catch((error: unknown) => {
      release();
      throw error;
    });
    observations.reset(stored);
    events.container(stored, 'reschedule', {
      'atoll.from': this.#hostname(record.nodeId),
    });
    log.info({ container: id, from: record.nodeId, to: stored.nodeId }, 'container placed anew');
    // The old host may be back, or be one that is drained: then it has a copy that must not run beside the new one.
    if (sessions.get(record.nodeId)) await orders.attempt(nodeV1.Action.REMOVE, record, { force: true });
    await orders.attempt(nodeV1.Action.ENSURE, stored);
    void orders.attempt(nodeV1.Action.START, stored).then((refusal) => {
      release();
      if (refusal && !this.#parts.signal.aborted)
        log.warn({ container: id, err: refusal }, 'a container placed anew does not start');
    });
  }

  /** Still wanted, and its host still down or drained. */
  #hasToMove(record: containerV1.ContainerRecord): boolean {
    const { health, state } = this.#parts;
    if (record.desired !== containerV1.DesiredState.RUNNING) return false;
    if (planNodeLoss([desiredOf(record)])[0]?.kind !== 'replace') return false;
    if (health.isAwaited(record.nodeId)) return false;
    return !health.isReady(record.nodeId) || state.infos.get(record.nodeId)?.availability === 'drain';
  }

  /** What had ended, or was never started, is known as that still: its exit code is worth more than the word "lost". */
  #mayRun(record: containerV1.ContainerRecord): boolean {
    const status = this.#parts.observations.status(record.id);
    return status ? isActive(status) : record.desired === containerV1.DesiredState.RUNNING;
  }

  #hostname(nodeId: string): string {
    return this.#parts.state.nodes.get(nodeId)?.facts?.hostname ?? nodeId;
  }

  #wait(id: string): void {
    this.#waiting.add(id);
    this.#timer ??= setInterval(() => this.retry(), RETRY_MS);
  }
}

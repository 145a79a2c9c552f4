import { conflict, notFound } from '@atoll/errors';
import { containerV1, nodeV1 } from '@atoll/proto';
import { SimulatedVolumes } from './simulated-volumes.ts';

const { ContainerState } = containerV1;

export interface SimulatedOutcome {
  readonly status: containerV1.ContainerStatus | undefined;
  readonly unchanged: boolean;
}

/** The containers of a simulated host: states change as an agent's would, no process runs. */
export class SimulatedContainers {
  readonly #nodeId: string;
  readonly #containers = new Map<string, containerV1.ContainerStatus>();
  readonly volumes: SimulatedVolumes;
  #tell: ((status: containerV1.ContainerStatus) => void) | undefined;
  /** Orders carried out, `START <id>` and so on, oldest first. */
  readonly journal: string[] = [];

  constructor(nodeId: string) {
    this.#nodeId = nodeId;
    this.volumes = new SimulatedVolumes(nodeId);
  }

  get(id: string): containerV1.ContainerStatus | undefined {
    return this.#containers.get(id);
  }

  list(): containerV1.ContainerStatus[] {
    return [...this.#containers.values()];
  }

  /** As if its data root was lost. */
  wipe(): void {
    this.#containers.clear();
  }

  /** As if somebody else had made it. */
  plant(id: string, state: containerV1.ContainerState): void {
    this.#containers.set(
      id,
      containerV1.ContainerStatus.fromPartial({ id, nodeId: this.#nodeId, seq: 1n, state, startedAtNs: nowNs() }),
    );
  }

  /** The container's process ends by itself. */
  exit(id: string, exitCode: number): containerV1.ContainerStatus {
    return this.#change(id, { state: ContainerState.EXITED, exitCode, finishedAtNs: nowNs(), pid: 0 });
  }

  /** Carries an order out and tells each status on the way, as an agent does. */
  obey(order: nodeV1.Order, tell: (status: containerV1.ContainerStatus) => void): SimulatedOutcome {
    this.#tell = tell;
    try {
      return this.#carryOut(order);
    } finally {
      this.#tell = undefined;
    }
  }

  #carryOut(order: nodeV1.Order): SimulatedOutcome {
    if (this.volumes.obey(order, (line) => this.journal.push(line))) return { status: undefined, unchanged: false };
    const record = order.record;
    if (!record) throw conflict('an order without a record');
    const { id } = record;
    const word = Object.entries(nodeV1.Action).find(([, value]) => value === order.action)?.[0];
    this.journal.push(`${word} ${id}`);
    switch (order.action) {
      case nodeV1.Action.ENSURE:
      case nodeV1.Action.UPDATE:
      case nodeV1.Action.CONNECT:
        return { status: this.#ensure(record), unchanged: false };
      case nodeV1.Action.START:
        this.#ensure(record);
        return this.#start(id);
      case nodeV1.Action.STOP:
      case nodeV1.Action.KILL:
        return this.#stop(id, order.action === nodeV1.Action.STOP ? 143 : 137);
      case nodeV1.Action.RESTART:
        this.#stop(id, 143);
        return this.#start(id);
      case nodeV1.Action.PAUSE:
        return { status: this.#change(id, { state: ContainerState.PAUSED }), unchanged: false };
      case nodeV1.Action.UNPAUSE:
        return { status: this.#change(id, { state: ContainerState.RUNNING }), unchanged: false };
      case nodeV1.Action.REMOVE:
        return this.#remove(id, order.force);
      default:
        throw conflict(`unknown order ${order.action}`);
    }
  }

  #ensure(record: containerV1.ContainerRecord): containerV1.ContainerStatus {
    for (const { type, source } of record.spec?.mounts ?? []) if (type === 'volume') this.volumes.ensure(source);
    const known = this.#containers.get(record.id);
    if (known)
      return known.generation === record.generation
        ? known
        : this.#change(record.id, { generation: record.generation });
    const status = containerV1.ContainerStatus.fromPartial({
      id: record.id,
      nodeId: this.#nodeId,
      seq: 1n,
      state: ContainerState.CREATED,
      generation: record.generation,
    });
    this.#containers.set(record.id, status);
    return status;
  }

  #start(id: string): SimulatedOutcome {
    const status = this.#get(id);
    if (status.state === ContainerState.RUNNING) return { status, unchanged: true };
    return {
      status: this.#change(id, { state: ContainerState.RUNNING, startedAtNs: nowNs(), pid: 4242, exitCode: 0 }),
      unchanged: false,
    };
  }

  #stop(id: string, exitCode: number): SimulatedOutcome {
    const status = this.#get(id);
    const active = status.state === ContainerState.RUNNING || status.state === ContainerState.PAUSED;
    return active ? { status: this.exit(id, exitCode), unchanged: false } : { status, unchanged: true };
  }

  #remove(id: string, force: boolean): SimulatedOutcome {
    const status = this.#get(id);
    if (status.state === ContainerState.RUNNING) {
      if (!force) throw conflict(`container ${id} is running`);
      this.exit(id, 137);
    }
    const last = this.#change(id, { state: ContainerState.REMOVED });
    this.#containers.delete(id);
    return { status: last, unchanged: false };
  }

  #change(id: string, change: Partial<containerV1.ContainerStatus>): containerV1.ContainerStatus {
    const status = this.#get(id);
    const next = { ...status, ...change, seq: status.seq + 1n };
    this.#containers.set(id, next);
    this.#tell?.(next);
    return next;
  }

  #get(id: string): containerV1.ContainerStatus {
    const status = this.#containers.get(id);
    if (!status) throw notFound(`no container ${id} on ${this.#nodeId}`);
    return status;
  }
}

let lastNs = 0n;

/** Times that grow with each call. */
function nowNs(): bigint {
  const now = BigInt(Date.now()) * 1_000_000n;
  lastNs = now > lastNs ? now : lastNs + 1n;
  return lastNs;
}

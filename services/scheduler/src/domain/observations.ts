import { CONTAINER_STATUSES, NODE_STATUSES, type ObservedWriter, stateKey } from '@atoll/bus';
import { containerV1, type nodeV1 } from '@atoll/proto';
import type { ClusterEvents } from './cluster-events.ts';
import { failpoint } from './failpoint.ts';
import { eventsBetween } from './status-events.ts';

/** What is seen of the cluster: kept here for decisions, told to everybody through the observed bucket and the events. */
export class Observations {
  readonly #writer: ObservedWriter;
  readonly #events: ClusterEvents;
  readonly #stopping = new Set<string>();
  readonly #statuses = new Map<string, containerV1.ContainerStatus>();
  readonly #listeners = new Set<(id: string) => void>();

  constructor(writer: ObservedWriter, events: ClusterEvents, known: Iterable<containerV1.ContainerStatus>) {
    this.#writer = writer;
    this.#events = events;
    for (const status of known) {
      this.#statuses.set(status.id, status);
      this.#store(status);
    }
  }

  /** Hears of each status that is new. The listener must not throw. */
  onChange(listener: (id: string) => void): void {
    this.#listeners.add(listener);
  }

  status(id: string): containerV1.ContainerStatus | undefined {
    return this.#statuses.get(id);
  }

  /**
   * An agent's word on a container of its own. False when something newer is known. `quiet`: the first word of a session on a
   * container nothing was known of; what happened before is not news.
   */
  report(record: containerV1.ContainerRecord, status: containerV1.ContainerStatus, quiet = false): boolean {
    const previous = this.#statuses.get(status.id);
    if (previous && !CONTAINER_STATUSES.supersedes?.(status, previous)) return false;
    failpoint('status.1-heard');
    this.#statuses.set(status.id, status);
    this.#store(status);
    failpoint('status.2-stored');
    if (previous === undefined && quiet) return true;
    for (const event of eventsBetween(comparable(previous, status), status)) {
      if (event.action === 'start') this.#started(record);
      this.#events.container(record, event.action, event.attributes);
      if (event.action === 'die') this.#ended(record);
      if (event.action === 'die' && this.#stopping.delete(record.id)) this.#events.container(record, 'stop');
    }
    failpoint('status.3-told');
    return true;
  }

  /**
   * The next end of this container is a stop: told right after it, before a new start. The answer ends the expectation; a stop
   * that was `done` and not seen to end anything is told then.
   */
  expectStop(record: containerV1.ContainerRecord): (done: boolean) => void {
    this.#stopping.add(record.id);
    return (done) => {
      if (this.#stopping.delete(record.id) && done) this.#events.container(record, 'stop');
    };
  }

  /** Its host is gone: what was last seen, with the reason. */
  lose(record: containerV1.ContainerRecord, reason: string): void {
    const last = this.#statuses.get(record.id);
    const status = containerV1.ContainerStatus.fromPartial({
      ...last,
      id: record.id,
      nodeId: record.nodeId,
      state: containerV1.ContainerState.LOST,
      error: reason,
      generation: record.generation,
      pid: 0,
    });
    this.#statuses.set(record.id, status);
    this.#store(status);
  }

  /** Placed on another host: nothing is known of it there yet. */
  reset(record: containerV1.ContainerRecord): void {
    const status = containerV1.ContainerStatus.fromPartial({
      id: record.id,
      nodeId: record.nodeId,
      state: containerV1.ContainerState.CREATING,
      generation: record.generation,
    });
    this.#statuses.set(record.id, status);
    this.#store(status);
  }

  forget(id: string): void {
    this.#statuses.delete(id);
    this.#writer.delete(stateKey(CONTAINER_STATUSES.kind, id));
    this.#tell(id);
  }

  node(status: nodeV1.NodeStatus): void {
    this.#writer.set(stateKey(NODE_STATUSES.kind, status.id), () => NODE_STATUSES.encode(status));
  }

  forgetNode(id: string): void {
    this.#writer.delete(stateKey(NODE_STATUSES.kind, id));
  }

  #started(record: containerV1.ContainerRecord): void {
    this.#events.networks(record, 'connect');
    this.#events.volumes(record, 'mount');
  }

  #ended(record: containerV1.ContainerRecord): void {
    this.#events.networks(record, 'disconnect');
    this.#events.volumes(record, 'unmount');
  }

  #store(status: containerV1.ContainerStatus): void {
    this.#writer.set(stateKey(CONTAINER_STATUSES.kind, status.id), () => CONTAINER_STATUSES.encode(status));
    this.#tell(status.id);
  }

  #tell(id: string): void {
    for (const listener of this.#listeners) listener(id);
  }
}

/** Times of another host say nothing about this one's. */
function comparable(
  previous: containerV1.ContainerStatus | undefined,
  next: containerV1.ContainerStatus,
): containerV1.ContainerStatus | undefined {
  return previous && previous.nodeId === next.nodeId ? previous : undefined;
}

import type { eventV1 } from '@atoll/proto';
import type { ContainerNews, PruneNews } from '../resources/container/backend.ts';
import type { ContainerView } from '../resources/container/container-view.ts';

export interface EventSink {
  /** Never waits. False: the event is dropped. */
  publish(event: eventV1.Event): boolean;
}

/** Events of this gateway, with the attributes the scheduler gives to those of containers. */
export class EventTeller implements ContainerNews, PruneNews {
  readonly #sink: EventSink;
  #lastNs = 0n;

  constructor(sink: EventSink) {
    this.#sink = sink;
  }

  /** Labels come first, so that none of them can pose as an attribute of ours. */
  tell({ record, spec, node }: ContainerView, action: string, attributes: Readonly<Record<string, string>> = {}): void {
    this.#publish({
      type: 'container',
      action,
      actorId: record.id,
      attributes: {
        ...spec.labels,
        'atoll.node': node?.facts?.hostname ?? record.nodeId,
        image: spec.image?.reference ?? '',
        name: spec.name,
        ...attributes,
      },
      nodeId: record.nodeId,
    });
  }

  tellPrune(type: 'container' | 'image' | 'network' | 'volume', reclaimed: number): void {
    this.#publish({
      type,
      action: 'prune',
      actorId: 'prune',
      attributes: { reclaimed: String(reclaimed) },
      nodeId: '',
    });
  }

  #publish(event: Omit<eventV1.Event, 'timeNs'>): void {
    this.#sink.publish({ ...event, timeNs: this.#now() });
  }

  /** Distinct times keep the order of events that are sorted by time. */
  #now(): bigint {
    const now = BigInt(Date.now()) * 1_000_000n;
    this.#lastNs = now > this.#lastNs ? now : this.#lastNs + 1n;
    return this.#lastNs;
  }
}

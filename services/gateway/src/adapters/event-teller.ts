import { eventV1 } from '@atoll/proto';
import type { ContainerNews } from '../resources/container/backend.ts';
import type { ContainerView } from '../resources/container/container-view.ts';

export interface EventSink {
  /** Never waits. False: the event is dropped. */
  publish(event: eventV1.Event): boolean;
}

/** Events of this gateway, with the attributes the scheduler gives to those of containers. */
export class EventTeller implements ContainerNews {
  readonly #sink: EventSink;
  #lastNs = 0n;

  constructor(sink: EventSink) {
    this.#sink = sink;
  }

  /** Labels come first, so that none of them can pose as an attribute of ours. */
  tell({ record, spec, node }: ContainerView, action: string, attributes: Readonly<Record<string, string>> = {}): void {
    this.#sink.publish(
      eventV1.Event.fromPartial({
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
        timeNs: this.#now(),
        nodeId: record.nodeId,
      }),
    );
  }

  /** Distinct times keep the order of events that are sorted by time. */
  #now(): bigint {
    const now = BigInt(Date.now()) * 1_000_000n;
    this.#lastNs = now > this.#lastNs ? now : this.#lastNs + 1n;
    return this.#lastNs;
  }
}

import type { EventBus } from '@atoll/bus';
import { eventV1 } from '@atoll/proto';
import type { ImageEvent, ImageEvents } from '../domain/images/image-events.ts';

/** Image events on the cluster's events stream. */
export class BusImageEvents implements ImageEvents {
  readonly #bus: EventBus;

  constructor(bus: EventBus) {
    this.#bus = bus;
  }

  publish({ action, actor, attributes }: ImageEvent): void {
    const timeNs = BigInt(Date.now()) * 1_000_000n;
    this.#bus.publish(
      eventV1.Event.fromPartial({
        type: 'image',
        action,
        actorId: actor,
        attributes: { ...attributes },
        timeNs,
        nodeId: '',
      }),
    );
  }
}

import { eventV1 } from '@atoll/proto';
import { nowNs } from '../processes/clock.ts';
import type { Container } from './container.ts';

/** A Docker event about a container that only this host sees. */
export function containerEvent(
  { id, record }: Container,
  action: string,
  extra: Readonly<Record<string, string>> = {},
): eventV1.Event {
  const { spec, nodeId } = record;
  return eventV1.Event.fromPartial({
    type: 'container',
    action,
    actorId: id,
    attributes: { ...spec?.labels, name: spec?.name ?? '', image: spec?.image?.reference ?? '', ...extra },
    timeNs: nowNs(),
    nodeId,
  });
}

import { failedPrecondition } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { TermParts } from './term-parts.ts';

/** Heard, or not given up yet. */
export function isHostUp(parts: TermParts, record: containerV1.ContainerRecord): boolean {
  return parts.health.isReady(record.nodeId) || parts.health.isAwaited(record.nodeId);
}

/** Errors: failed-precondition that names the host and what became of the container. */
export function assertHostUp(parts: TermParts, record: containerV1.ContainerRecord): void {
  if (isHostUp(parts, record)) return;
  const host = parts.state.nodes.get(record.nodeId)?.facts?.hostname ?? record.nodeId;
  const reason = parts.observations.status(record.id)?.error || `host ${host} is down`;
  throw failedPrecondition(`container ${record.spec?.name} cannot be reached: ${reason}`);
}

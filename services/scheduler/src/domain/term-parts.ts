import type { Pipeline, PlacementRequest } from '@atoll/scheduling';
import type { ClusterEvents } from './cluster-events.ts';
import type { ClusterPorts } from './cluster-ports.ts';
import type { ClusterState } from './cluster-state.ts';
import type { DesiredWrites } from './desired-writes.ts';
import type { KeyedQueue } from './keyed-queue.ts';
import type { AddressPools } from './network/address-pools.ts';
import type { NetworkPushes } from './network/network-pushes.ts';
import type { PortPushes } from './network/port-pushes.ts';
import type { NodeHealth } from './node-health.ts';
import type { NodeSessions } from './node-sessions.ts';
import type { Observations } from './observations.ts';
import type { Orders } from './orders.ts';

/** What an operator hears; a pino logger fits. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What the parts of one term of leadership share. Ends with the term: nothing here outlives `signal`. */
export interface TermParts {
  readonly epoch: bigint;
  readonly signal: AbortSignal;
  readonly state: ClusterState;
  readonly writes: DesiredWrites;
  readonly observations: Observations;
  readonly sessions: NodeSessions;
  readonly orders: Orders;
  readonly events: ClusterEvents;
  readonly health: NodeHealth;
  readonly pushes: NetworkPushes;
  readonly ports: ClusterPorts;
  readonly portPushes: PortPushes;
  readonly pools: AddressPools;
  /** All blocks of container addresses of hosts, CIDR. */
  readonly containerCidr: string;
  /** One change at a time for each container. */
  readonly turns: KeyedQueue;
  readonly pipeline: Pipeline;
  readonly log: Log;
}

/**
 * A host for a container. Where another one has a wanted port of that host, it is asked for again without: which of the two may run is
 * decided when one is started, as under docker.
 */
export function place(parts: TermParts, request: PlacementRequest): ReturnType<Pipeline['place']> {
  const placement = parts.pipeline.place(parts.state.infos, request);
  if (placement.node || request.claim.ports.length === 0) return placement;
  return parts.pipeline.place(parts.state.infos, { ...request, claim: { ...request.claim, ports: [] } });
}

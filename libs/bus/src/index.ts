export { type BusLog, SILENT_LOG } from './bus-log.ts';
export {
  CONTAINER_STATUSES,
  CONTAINERS,
  type Collection,
  LEFTOVERS,
  NETWORKS,
  NODE_STATUSES,
  NODES,
  VOLUMES,
} from './collection.ts';
export type { DesiredStore, DesiredWriter } from './desired-store.ts';
export type { EventBus, EventQuery } from './event-bus.ts';
export { Feed, type FeedState, type RegressPolicy } from './feed.ts';
export type { FeedItem, FeedSource } from './feed-source.ts';
export { decodeKeyPart, encodeKeyPart, parseStateKey, stateKey } from './key.ts';
export { type ElectionOptions, LeaderElection, type Term } from './leader-election.ts';
export { decodeLease, encodeLease, type HeldLease, LEASE_KEY, type Lease } from './lease.ts';
export { Mirror, type MirrorChange } from './mirror.ts';
export { assertDurable, type DurabilityClaim } from './nats/assert-durable.ts';
export {
  type BucketSpec,
  ensureBucket,
  findBucket,
  isWrongSequence,
  OPERATION_HEADER,
  streamOf,
  subjectOf,
} from './nats/bucket.ts';
export { BucketSource } from './nats/bucket-source.ts';
export { type Bus, type BusOptions, connectBus, OPERATION_BUDGET_MS } from './nats/connection.ts';
export { type DesiredStoreOptions, NatsDesiredStore } from './nats/nats-desired-store.ts';
export { type EventBusOptions, NatsEventBus } from './nats/nats-event-bus.ts';
export { NatsObservedStore, type ObservedStoreOptions } from './nats/nats-observed-store.ts';
export type { ObservedStore, ObservedWriter } from './observed-store.ts';

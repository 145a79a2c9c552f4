export { collect } from './collect.ts';
export { desiredStoreConformance } from './desired-store-conformance.ts';
export { eventBusConformance } from './event-bus-conformance.ts';
export { MemoryBucket } from './memory-bucket.ts';
export { MemoryDesiredStore } from './memory-desired-store.ts';
export { MemoryEventBus } from './memory-event-bus.ts';
export { MemoryObservedStore } from './memory-observed-store.ts';
export { observedStoreConformance } from './observed-store-conformance.ts';

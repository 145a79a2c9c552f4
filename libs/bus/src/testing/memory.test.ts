import { desiredStoreConformance } from './desired-store-conformance.ts';
import { eventBusConformance } from './event-bus-conformance.ts';
import { MemoryDesiredStore } from './memory-desired-store.ts';
import { MemoryEventBus } from './memory-event-bus.ts';
import { MemoryObservedStore } from './memory-observed-store.ts';
import { observedStoreConformance } from './observed-store-conformance.ts';

const close = async (): Promise<void> => {};

desiredStoreConformance('memory', async () => ({ store: new MemoryDesiredStore(), close }));
observedStoreConformance('memory', async () => ({ store: new MemoryObservedStore(), close }));
eventBusConformance('memory', async () => ({ bus: new MemoryEventBus(), close }));

import { randomBytes } from 'node:crypto';
import { startNats, type TestNats } from '@atoll/testing';
import { afterAll, beforeAll } from 'vitest';
import { desiredStoreConformance, eventBusConformance, observedStoreConformance } from '../testing/index.ts';
import { type Bus, connectBus } from './connection.ts';
import { NatsDesiredStore } from './nats-desired-store.ts';
import { NatsEventBus } from './nats-event-bus.ts';
import { NatsObservedStore } from './nats-observed-store.ts';

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  nats = await startNats();
  bus = await connectBus({ servers: [nats.url], name: 'test' });
});
afterAll(async () => {
  await bus.close();
  await nats.stop();
});
const unique = (): string => `test_${randomBytes(6).toString('hex')}`;

desiredStoreConformance('nats', async () => {
  const bucket = unique();
  const store = new NatsDesiredStore(bus, { bucket });
  await store.create();
  return { store, close: async () => void (await bus.manager.streams.delete(`KV_${bucket}`)) };
});

observedStoreConformance('nats', async () => {
  const bucket = unique();
  const store = new NatsObservedStore(bus, { bucket });
  return { store, close: async () => void (await bus.manager.streams.delete(`KV_${bucket}`)) };
});

eventBusConformance('nats', async () => {
  const stream = unique();
  const events = new NatsEventBus(bus, { stream });
  return {
    bus: events,
    close: async () => {
      await events.close();
      await bus.manager.streams.delete(stream);
    },
  };
});

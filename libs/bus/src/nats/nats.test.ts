import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventV1 } from '@atoll/proto';
import { startNats, type TestNats } from '@atoll/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
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

test('a reader of events that takes none is sent few batches, and all of them once it reads', async () => {
  const stream = unique();
  const events = new NatsEventBus(bus, { stream });
  const end = new AbortController();
  const total = 200;
  const event = (id: number) => eventV1.Event.fromPartial({ action: 'start', actorId: String(id), timeNs: 1n });
  try {
    for (let id = 0; id < total; id++) {
      events.publish(event(id));
      // Each goes as a batch of its own.
      await events.flush(end.signal);
    }
    const reader = events.subscribe({ sinceNs: 0n, untilNs: BigInt(Date.now()) * 1_000_000n, signal: end.signal });
    const first = await reader.next();
    await expect.poll(async () => (await bus.manager.consumers.list(stream).next())[0]?.num_pending).toBe(total - 32);
    // The server says meanwhile that it sends nothing, which is not for want of events.
    await sleep(2_500);
    const read = [first.value?.actorId];
    for await (const { actorId } of reader) read.push(actorId);
    expect(read).toEqual(Array.from({ length: total }, (_, id) => String(id)));
  } finally {
    end.abort();
    await events.close();
    await bus.manager.streams.delete(stream);
  }
});

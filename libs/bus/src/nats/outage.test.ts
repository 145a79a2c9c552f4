import { setTimeout as sleep } from 'node:timers/promises';
import { containerV1, eventV1 } from '@atoll/proto';
import { startNats, type TestNats } from '@atoll/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CONTAINER_STATUSES, CONTAINERS } from '../collection.ts';
import { Feed } from '../feed.ts';
import { stateKey } from '../key.ts';
import { type Bus, connectBus } from './connection.ts';
import { NatsDesiredStore } from './nats-desired-store.ts';
import { NatsEventBus } from './nats-event-bus.ts';
import { NatsObservedStore } from './nats-observed-store.ts';

const LEASE = { leaderId: 's1', address: '127.0.0.1:1' };
const record = (id: string, name = id): containerV1.ContainerRecord =>
  containerV1.ContainerRecord.fromPartial({ id, spec: { name } });
const status = (id: string, seq: bigint): containerV1.ContainerStatus =>
  containerV1.ContainerStatus.fromPartial({ id, nodeId: 'h1', seq });

let nats: TestNats;
let bus: Bus;
let other: Bus;
let signal: AbortSignal;
beforeEach(async () => {
  nats = await startNats();
  bus = await connectBus({ servers: [nats.url], name: 'writer' });
  other = await connectBus({ servers: [nats.url], name: 'reader' });
  signal = AbortSignal.timeout(25_000);
});
afterEach(async () => {
  await bus.close();
  await other.close();
  await nats.stop();
});
const until = async (reached: () => boolean): Promise<void> => {
  while (!reached()) await sleep(10, undefined, { signal });
};

describe('desired state while nats-server is killed', () => {
  test('writes wait for it, none is lost or done twice, and a mirror follows without forgetting', async () => {
    const store = new NatsDesiredStore(bus);
    await store.create();
    const feed = new Feed(new NatsDesiredStore(other).source(), { name: 'reader', onRegress: 'keep' });
    const mirror = feed.mirror(CONTAINERS);
    feed.start();
    await feed.ready(signal);
    const writer = await store.acquire(LEASE, undefined, signal);
    const put = (id: string): Promise<bigint> => writer.put(stateKey('container', id), CONTAINERS.encode(record(id)));
    const before = await Promise.all(Array.from({ length: 50 }, (_, i) => put(`a${i}`)));
    await feed.caughtUp(before.at(-1) ?? 0n, signal);
    const during = Array.from({ length: 50 }, (_, i) => put(`b${i}`));
    await nats.kill();
    expect(mirror.size).toBeGreaterThanOrEqual(50);
    await sleep(300);
    await nats.restart();
    const after = await Promise.all(during);
    expect(new Set([...before, ...after]).size).toBe(100);
    expect([...before, ...after]).toEqual([...before, ...after].sort((a, b) => (a < b ? -1 : 1)));
    await feed.caughtUp(after.at(-1) ?? 0n, signal);
    expect(mirror.size).toBe(100);
    await until(() => feed.state === 'live');
    await feed.close();
  });

  test('a bucket that is gone deposes its writer, halts nobody who reads, and removes nothing', async () => {
    const store = new NatsDesiredStore(bus);
    await store.create();
    const writer = await store.acquire(LEASE, undefined, signal);
    const feed = new Feed(store.source(), { name: 'reader', onRegress: 'keep' });
    const mirror = feed.mirror(CONTAINERS);
    await writer.put('container.a', CONTAINERS.encode(record('a')));
    await feed.start().caughtUp(2n, signal);
    await bus.manager.streams.delete('KV_atoll_desired');
    await expect(writer.put('container.b', CONTAINERS.encode(record('b')))).rejects.toMatchObject({
      reason: 'unavailable',
    });
    expect(writer.deposed.aborted).toBe(true);
    await until(() => feed.state === 'stale');
    expect(mirror.get('a')?.id).toBe('a');
    // Somebody makes a new, empty one: it is not believed.
    await store.create();
    await until(() => feed.state === 'halted');
    expect(mirror.get('a')?.id).toBe('a');
    await feed.close();
  });

  test('a write whose answer was lost is found, not repeated', async () => {
    const store = new NatsDesiredStore(bus);
    await store.create();
    const writer = await store.acquire(LEASE, undefined, signal);
    // The store has the write, the writer sees only a failure: what a lost answer looks like to it.
    const { publish } = bus;
    let lost = 0;
    bus.publish = async (...args) => {
      const ack = await publish(...args);
      if (lost++ < 2) throw new Error('the answer was lost');
      return ack;
    };
    const revisions = [
      await writer.put('container.a', CONTAINERS.encode(record('a', '1'))),
      await writer.put('container.a', CONTAINERS.encode(record('a', '2'))),
      await writer.put('container.b', CONTAINERS.encode(record('b'))),
    ];
    expect(revisions).toEqual([writer.epoch + 1n, writer.epoch + 2n, writer.epoch + 3n]);
    expect(lost).toBe(3);
    const { state } = await bus.manager.streams.info('KV_atoll_desired');
    expect(state.last_seq).toBe(Number(writer.epoch) + 3);
  });

  test('a writer is settled when nothing of it is on its way', async () => {
    const store = new NatsDesiredStore(bus);
    await store.create();
    const writer = await store.acquire(LEASE, undefined, signal);
    void writer.put('container.a', new Uint8Array([1]));
    void writer.put('container.b', new Uint8Array([1]));
    expect(await writer.settled()).toBe(writer.epoch + 2n);
  });
});

describe('observed state and events after nats-server was restarted', () => {
  test('the bucket is made and filled again, and mirrors keep what they knew meanwhile', async () => {
    const observed = new NatsObservedStore(bus);
    const writer = observed.writer();
    writer.set('container.a', () => CONTAINER_STATUSES.encode(status('a', 1n)));
    writer.set('container.b', () => CONTAINER_STATUSES.encode(status('b', 1n)));
    await writer.flush(signal);
    const feed = new Feed(new NatsObservedStore(other).source(), { name: 'reader', onRegress: 'rebuilt' });
    const mirror = feed.mirror(CONTAINER_STATUSES);
    await feed.start().ready(signal);
    expect(mirror.size).toBe(2);
    await nats.kill();
    writer.set('container.a', () => CONTAINER_STATUSES.encode(status('a', 2n)));
    writer.delete('container.b');
    expect(mirror.size).toBe(2);
    await nats.restart();
    await until(() => mirror.get('a')?.seq === 2n && mirror.get('b') === undefined);
    writer.set('container.c', () => CONTAINER_STATUSES.encode(status('c', 1n)));
    await until(() => mirror.get('c') !== undefined);
    await writer.close();
    await feed.close();
  });

  test('a subscription goes on', async () => {
    const events = new NatsEventBus(bus);
    const reader = new NatsEventBus(other);
    const heard: string[] = [];
    const stop = new AbortController();
    const reading = (async () => {
      for await (const event of reader.subscribe({ signal: stop.signal })) heard.push(event.action);
    })().catch(() => undefined);
    const tell = (action: string): boolean =>
      events.publish(
        eventV1.Event.fromPartial({ type: 'container', action, actorId: 'a', timeNs: BigInt(Date.now()) * 1_000_000n }),
      );
    await until(() => tell('before') && heard.includes('before'));
    await nats.kill();
    await nats.restart();
    await until(() => {
      tell('after');
      return heard.includes('after');
    });
    stop.abort();
    await reading;
    await events.close();
    await reader.close();
  });
});

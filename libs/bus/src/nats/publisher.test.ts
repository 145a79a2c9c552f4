import { startNats, type TestNats } from '@atoll/testing';
import { headers } from '@nats-io/transport-node';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ensureBucket, isWrongSequence } from './bucket.ts';
import { type Bus, connectBus } from './connection.ts';

const VALUE = new Uint8Array([1]);

let nats: TestNats;
let bus: Bus;
beforeEach(async () => {
  nats = await startNats();
  bus = await connectBus({ servers: [nats.url], name: 'publisher' });
  await ensureBucket(bus, { name: 'b', storage: 'memory', replicas: 1 });
});
afterEach(async () => {
  await bus.close();
  await nats.stop();
});

describe('publishing to a stream', () => {
  test('many at once are answered with their own places', async () => {
    const places = await Promise.all(Array.from({ length: 300 }, (_, i) => bus.publish(`$KV.b.k${i}`, VALUE)));
    expect(places).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
  });
  test('what no stream takes is unavailable', async () => {
    await expect(bus.publish('nobody.listens', VALUE)).rejects.toMatchObject({ reason: 'unavailable' });
  });
  test('a refusal of the server says which it is', async () => {
    const marks = headers();
    marks.set('Nats-Expected-Last-Sequence', '7');
    await expect(bus.publish('$KV.b.k', VALUE, marks)).rejects.toSatisfy(isWrongSequence);
  });
  test('a lost connection ends the wait', async () => {
    const asked = bus.publish('$KV.b.k', VALUE).then(
      () => 'stored',
      (error: unknown) => (error as { reason?: string }).reason,
    );
    const [outcome] = await Promise.all([asked, nats.kill()]);
    // The answer may have been faster than the kill; what is asked now cannot be answered.
    expect(['stored', 'unavailable']).toContain(outcome);
    await expect(bus.publish('$KV.b.k', VALUE)).rejects.toMatchObject({ reason: 'unavailable' });
  });
  test('after the server is back it goes on', async () => {
    await nats.kill();
    await nats.restart();
    const again = async (): Promise<boolean> => {
      await ensureBucket(bus, { name: 'b', storage: 'memory', replicas: 1 }).catch(() => undefined);
      return await bus.publish('$KV.b.k', VALUE).then(
        () => true,
        () => false,
      );
    };
    await expect.poll(again, { timeout: 20_000 }).toBe(true);
  });
});

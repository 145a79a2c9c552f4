import { randomUUID } from 'node:crypto';
import { type Bus, connectBus } from '@atoll/bus';
import { startNats, type TestNats } from '@atoll/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Names } from '../../domain/records/names.ts';
import { recordStoreSuite } from '../../testing/record-store-suite.ts';
import { MemoryRecordStore } from './memory-record-store.ts';
import { NatsRecordStore } from './nats-record-store.ts';

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  nats = await startNats();
  bus = await connectBus({ servers: [nats.url], name: 'record-store-test' });
});
afterAll(async () => {
  await bus?.close();
  await nats?.stop();
});

const open = () => NatsRecordStore.open(bus, { bucket: `t_${randomUUID().replaceAll('-', '')}`, replicas: 1 });

recordStoreSuite('memory', async () => new MemoryRecordStore());
recordStoreSuite('NATS', open);

test('the server is killed under writes: no acknowledged write is missing, the watch goes on', async () => {
  const store = await open();
  const stop = new AbortController();
  const seen = new Map<string, string>();
  await store.watch(({ key, value }) => seen.set(key, Buffer.from(value ?? '').toString()), stop.signal);
  const acknowledged: string[] = [];
  let killing: Promise<void> | undefined;
  for (let i = 0; i < 60; i += 1) {
    if (i === 20) killing = nats.kill().then(() => nats.restart());
    await store.create(`k.${i}`, Buffer.from(`${i}`));
    acknowledged.push(`k.${i}`);
  }
  await killing;
  for (const key of acknowledged) {
    expect(Buffer.from((await store.get(key))?.value ?? '').toString(), key).toBe(key.slice(2));
  }
  for (let tries = 0; tries < 1000 && seen.size < acknowledged.length; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(seen.size).toBe(acknowledged.length);
  stop.abort();
});

test('two registries on one store see the names of each other', async () => {
  const store = await open();
  const stop = new AbortController();
  const [a, b] = [new Names(store), new Names(store)];
  await a.start(stop.signal);
  await b.start(stop.signal);
  const digest = `sha256:${'a'.repeat(64)}` as never;
  await a.putTag('docker.io/library/x', 'v1', { digest, mediaType: 'm', size: 1, image: undefined, at: 0 });
  expect((await b.tag('docker.io/library/x', 'v1'))?.digest).toBe(digest);
  const other = `sha256:${'b'.repeat(64)}` as never;
  await b.putTag('docker.io/library/x', 'v1', { digest: other, mediaType: 'm', size: 1, image: undefined, at: 0 });
  await a.putTag('docker.io/library/x', 'v2', { digest, mediaType: 'm', size: 1, image: undefined, at: 0 });
  for (let tries = 0; tries < 500 && a.repository('docker.io/library/x').tags.get('v1')?.digest !== other; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(a.repository('docker.io/library/x').tags.get('v1')?.digest).toBe(other);
  await b.remove({ kind: 'tag', repository: 'docker.io/library/x', tag: 'v1' });
  await a.putTag('docker.io/library/x', 'v1', { digest, mediaType: 'm', size: 1, image: undefined, at: 0 });
  expect((await a.tag('docker.io/library/x', 'v1'))?.digest).toBe(digest);
  expect(await a.complete()).toBe(true);
  stop.abort();
});

import { MemoryCache } from '@atoll/cache';
import { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { HISTORY_COMMENT, type HistoryEntry, probeKey, stateKey } from '../image/stage-state.ts';
import type { ChildImage, StoreReader } from './registry-images.ts';
import { StepCacheIndex } from './step-cache-index.ts';

const { signal } = new AbortController();
const layer = (name: string): containerV1.Layer =>
  containerV1.Layer.fromPartial({
    digest: `sha256:${name.repeat(64)}`,
    diffId: `sha256:${name.repeat(64)}`,
    mediaType: 'm',
    size: 5n,
  });
const created = '2026-01-01T00:00:00Z';

class Store implements StoreReader {
  readonly missing = new Set<string>();
  readonly children: ChildImage[] = [];
  readonly named = new Map<string, ChildImage>();
  listings = 0;
  async hasBlob(digest: string): Promise<boolean> {
    return !this.missing.has(digest);
  }
  async imageOn(_base: string, reference: string): Promise<ChildImage | undefined> {
    return this.named.get(reference);
  }
  async *imagesOn(): AsyncGenerator<ChildImage> {
    this.listings++;
    yield* this.children;
  }
}

function open(secret = 's', cache = new MemoryCache({ maxBytes: 1 << 20 }), store = new Store()) {
  return { cache, store, index: new StepCacheIndex(cache, store, Buffer.from(secret)) };
}

describe('what was saved', () => {
  test('is found', async () => {
    const { index } = open();
    await index.save('p', { created, layer: layer('a') });
    await index.save('q', { created, layer: undefined });
    await index.saveDigest('d', 'sha256:x');
    expect(await index.find('p', signal)).toEqual({ created, layer: layer('a') });
    expect(await index.find('q', signal)).toEqual({ created, layer: undefined });
    expect(await index.findDigest('d')).toBe('sha256:x');
    expect(await index.find('other', signal)).toBeUndefined();
  });

  test('is a miss once the store lost the layer', async () => {
    const { index, store } = open();
    await index.save('p', { created, layer: layer('a') });
    store.missing.add(layer('a').digest);
    expect(await index.find('p', signal)).toBeUndefined();
    store.missing.clear();
    expect(await index.find('p', signal)).toBeUndefined();
  });

  test('counts only for those who share the secret', async () => {
    const { index, cache, store } = open('one');
    await index.save('p', { created, layer: layer('a') });
    expect(await open('two', cache, store).index.find('p', signal)).toBeUndefined();
    expect(await open('one', cache, store).index.find('p', signal)).toBeDefined();
  });

  test('cannot be moved to another key or changed in the cache', async () => {
    const { index, cache } = open();
    await index.save('p', { created, layer: layer('a') });
    const bytes = (await cache.get('0 step p')) as Uint8Array;
    expect(bytes).toBeDefined();
    await cache.set('0 step q', bytes, 1000);
    expect(await index.find('q', signal)).toBeUndefined();
    const changed = Buffer.from(bytes);
    changed[40] = (changed[40] as number) ^ 1;
    await cache.set('0 step p', changed, 1000);
    expect(await index.find('p', signal)).toBeUndefined();
    await cache.set('0 step p', Buffer.from('short'), 1000);
    expect(await index.find('p', signal)).toBeUndefined();
  });

  test('is forgotten by a prune', async () => {
    const { index } = open();
    await index.save('p', { created, layer: undefined });
    await index.prune();
    expect(await index.find('p', signal)).toBeUndefined();
    await index.save('p', { created, layer: undefined });
    expect(await index.find('p', signal)).toBeDefined();
  });
});

describe('learning from images', () => {
  const base = `sha256:${'b'.repeat(64)}`;
  const entry = (by: string, empty = false, comment = HISTORY_COMMENT): HistoryEntry => ({
    created,
    created_by: by,
    comment,
    ...(empty ? { empty_layer: true } : {}),
  });
  const history = [entry('base', false, ''), entry('ENV a', true), entry('RUN x'), entry('CMD y', true)];

  test('finds the steps on top of the base, with their layers', async () => {
    const { index, store } = open();
    store.children.push({ history, baseLength: 1, layers: [layer('0'), layer('1')] });
    await index.learn(base, signal);
    const one = probeKey('b'.repeat(64), 'ENV a');
    const two = probeKey(stateKey(one, undefined), 'RUN x');
    const three = probeKey(stateKey(two, layer('1').diffId), 'CMD y');
    expect(await index.find(one, signal)).toEqual({ created, layer: undefined });
    expect(await index.find(two, signal)).toEqual({ created, layer: layer('1') });
    expect(await index.find(three, signal)).toEqual({ created, layer: undefined });
  });

  test('stops at a step this builder did not make', async () => {
    const { index, store } = open();
    const foreign = [history[0] as HistoryEntry, entry('RUN evil', false, ''), entry('RUN x')];
    store.children.push({ history: foreign, baseLength: 1, layers: [layer('0'), layer('1'), layer('2')] });
    await index.learn(base, signal);
    expect(await index.find(probeKey('b'.repeat(64), 'RUN evil'), signal)).toBeUndefined();
  });

  test('takes foreign steps from images that were named for it, and from no others', async () => {
    const { index, store } = open();
    const image = { history: [entry('RUN x', false, 'buildkit')], baseLength: 0, layers: [layer('1')] };
    store.named.set('asked', image);
    store.children.push(image);
    const probe = probeKey('b'.repeat(64), 'RUN x');
    await index.learn(base, signal);
    expect((await index.importFrom(base, ['missing'], signal)).size).toBe(0);
    expect((await index.importFrom(base, ['missing', 'asked'], signal)).get(probe)?.layer).toEqual(layer('1'));
    expect(await index.find(probe, signal)).toBeUndefined();
  });

  test('happens once in a while only, and again after a prune', async () => {
    const { index, store } = open();
    await index.learn(base, signal);
    await index.learn(base, signal);
    expect(store.listings).toBe(1);
    await index.prune();
    await index.learn(base, signal);
    expect(store.listings).toBe(2);
  });

  test('does not replace what is known', async () => {
    const { index, store } = open();
    const probe = probeKey('b'.repeat(64), 'RUN x');
    await index.save(probe, { created, layer: layer('9') });
    store.children.push({ history: [entry('RUN x')], baseLength: 0, layers: [layer('1')] });
    await index.learn(base, signal);
    expect((await index.find(probe, signal))?.layer?.digest).toBe(layer('9').digest);
  });
});

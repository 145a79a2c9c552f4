import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Cache } from '@atoll/cache';
import { containerV1 } from '@atoll/proto';
import { z } from 'zod';
import { HISTORY_COMMENT, type HistoryEntry, probeKey, stateKey } from '../image/stage-state.ts';
import type { StepCache, StepRecord } from '../steps/step-cache.ts';
import type { ChildImage, StoreReader } from './registry-images.ts';

const TTL_MS = 30 * 24 * 3600 * 1000;
/** An image's children are looked through again after this time only. */
const LEARN_AGAIN_MS = 10 * 60 * 1000;
const MAX_BASES = 1_000;

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const recordSchema = z.object({
  created: z.string(),
  layer: z.object({ digest, diffId: digest, mediaType: z.string(), size: z.string().regex(/^\d+$/) }).optional(),
});

/**
 * The step cache over a cache that may lose or be given anything: every value carries a MAC over its key, and a layer counts only
 * while the store has its blob. What is lost can be learnt again from the images this builder made.
 */
export class StepCacheIndex implements StepCache {
  readonly #cache: Cache;
  readonly #store: StoreReader;
  readonly #secret: Buffer;
  readonly #learned = new Map<string, number>();

  /** @param secret known to the builders that share the cache, to nobody else */
  constructor(cache: Cache, store: StoreReader, secret: Buffer) {
    this.#cache = cache;
    this.#store = store;
    this.#secret = secret;
  }

  async find(probe: string, signal: AbortSignal): Promise<StepRecord | undefined> {
    const text = await this.#get(`step ${probe}`);
    if (text === undefined) return undefined;
    const { created, layer } = recordSchema.parse(JSON.parse(text));
    if (!layer) return { created, layer: undefined };
    if (await this.#store.hasBlob(layer.digest, signal)) {
      return { created, layer: containerV1.Layer.fromPartial({ ...layer, size: BigInt(layer.size) }) };
    }
    await this.#cache.delete(await this.#name(`step ${probe}`));
    return undefined;
  }

  async save(probe: string, record: StepRecord): Promise<void> {
    const layer = record.layer && { ...record.layer, size: String(record.layer.size) };
    await this.#set(`step ${probe}`, JSON.stringify({ created: record.created, layer }));
  }

  async findDigest(key: string): Promise<string | undefined> {
    return await this.#get(`digest ${key}`);
  }

  async saveDigest(key: string, value: string): Promise<void> {
    await this.#set(`digest ${key}`, value);
  }

  async learn(baseImageId: string, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    const last = this.#learned.get(baseImageId);
    if (last !== undefined && now - last < LEARN_AGAIN_MS) return;
    if (this.#learned.size >= MAX_BASES) this.#learned.clear();
    this.#learned.set(baseImageId, now);
    for await (const image of this.#store.imagesOn(baseImageId, signal)) {
      for (const [probe, record] of stepsOf(baseImageId, image, (entry) => entry.comment === HISTORY_COMMENT)) {
        if ((await this.#get(`step ${probe}`)) === undefined) await this.save(probe, record);
      }
    }
  }

  async importFrom(
    baseImageId: string,
    references: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, StepRecord>> {
    const steps = new Map<string, StepRecord>();
    for (const reference of references) {
      const image = await this.#store.imageOn(baseImageId, reference, signal);
      if (!image) continue;
      for (const [probe, record] of stepsOf(baseImageId, image, () => true)) {
        steps.set(probe, { ...record, imported: true });
      }
    }
    return steps;
  }

  /** Forgets everything remembered so far: names hold a generation, the old ones are never asked for again. */
  async prune(): Promise<void> {
    const next = Number((await this.#raw('generation')) ?? '0') + 1;
    await this.#write('generation', String(next));
    this.#learned.clear();
  }

  async #name(key: string): Promise<string> {
    return `${(await this.#raw('generation')) ?? '0'} ${key}`;
  }

  async #get(key: string): Promise<string | undefined> {
    return await this.#raw(await this.#name(key));
  }

  async #set(key: string, value: string): Promise<void> {
    await this.#write(await this.#name(key), value);
  }

  async #raw(name: string): Promise<string | undefined> {
    const bytes = await this.#cache.get(name);
    if (!bytes || bytes.length < 32) return undefined;
    const value = Buffer.from(bytes.subarray(32)).toString('utf8');
    return timingSafeEqual(bytes.subarray(0, 32), this.#mac(name, value)) ? value : undefined;
  }

  async #write(name: string, value: string): Promise<void> {
    await this.#cache.set(name, Buffer.concat([this.#mac(name, value), Buffer.from(value)]), TTL_MS);
  }

  #mac(name: string, value: string): Buffer {
    return createHmac('sha256', this.#secret)
      .update(JSON.stringify([name, value]))
      .digest();
  }
}

/** The steps an image's history tells of, as the cache knows them; up to the first that is not accepted. */
function* stepsOf(
  baseImageId: string,
  { history, baseLength, layers }: ChildImage,
  accept: (entry: HistoryEntry) => boolean,
): Generator<[probe: string, record: StepRecord]> {
  let key = baseImageId.replace(/^sha256:/, '');
  let layerAt = history.slice(0, baseLength).filter((entry) => entry.empty_layer !== true).length;
  for (const entry of history.slice(baseLength)) {
    if (!accept(entry) || !entry.created_by || !entry.created) return;
    const layer = entry.empty_layer === true ? undefined : layers[layerAt++];
    if (entry.empty_layer !== true && !layer) return;
    const probe = probeKey(key, entry.created_by);
    yield [probe, { created: entry.created, layer }];
    key = stateKey(probe, layer?.diffId);
  }
}

import { type AtollError, dataLoss, hasReason, notFound } from '@atoll/errors';
import { type containerV1, imageV1 } from '@atoll/proto';
import { familiarString, parseReference, withDefaultTag } from '@atoll/reference';
import type { Client } from '@atoll/rpc';
import { isRunning } from '../resources/container/container-state.ts';
import type { ImageBackend } from '../resources/image/backend.ts';
import type { ImageConfig, ResolvedImage } from '../resources/image/resolved-image.ts';
import type { ClusterState } from './cluster-state.ts';
import { pieces } from './pieces.ts';

export type ImageClient = Client<imageV1.ImageServiceService>;
type Filters = ReadonlyMap<string, readonly string[]>;

/** Images kept, by id, and the largest config of one that is. */
const KEPT = 256;
const KEPT_CONFIG_BYTES = 64 * 1024;

/** Image verbs through the cluster's store. */
export class StoreBackend implements ImageBackend {
  readonly #client: ImageClient;
  readonly #state: ClusterState;
  readonly #kept = new Map<string, ResolvedImage>();
  /** Name as given -> id of the image it meant when it was last asked for. */
  readonly #meant = new Map<string, string>();

  constructor(client: ImageClient, state: ClusterState) {
    this.#client = client;
    this.#state = state;
  }

  async resolveImage(reference: string, signal: AbortSignal): Promise<ResolvedImage> {
    const { image } = await this.#named(reference, this.#client.resolveImage({ reference }, { signal }));
    if (image === undefined) throw noSuchImage(reference);
    const resolved = { image, config: configOf(image) };
    put(this.#kept, image.id, image.config.byteLength > KEPT_CONFIG_BYTES ? undefined : resolved);
    put(this.#meant, reference, image.id);
    return resolved;
  }

  async resolveContent(reference: string, signal: AbortSignal): Promise<ResolvedImage> {
    const { id, manifestDigest } = await this.#named(reference, this.#client.identifyImage({ reference }, { signal }));
    const known = this.#kept.get(id);
    if (known?.image.manifestDigest !== manifestDigest) return await this.resolveImage(reference, signal);
    put(this.#meant, reference, id);
    return known;
  }

  likelyContent(reference: string): ResolvedImage | undefined {
    return this.#kept.get(this.#meant.get(reference) ?? '');
  }

  /** After names may have changed: what they meant is likely no more. */
  forgetNames(): void {
    this.#meant.clear();
  }

  async listImages(query: { readonly all: boolean; readonly filters: Filters }, signal: AbortSignal) {
    const request = { all: query.all, filters: wireFilters(query.filters) };
    return (await this.#client.listImages(request, { signal })).images;
  }

  async history(reference: string, signal: AbortSignal) {
    return (await this.#named(reference, this.#client.imageHistory({ reference }, { signal }))).entries;
  }

  async tagImage(source: string, target: string, signal: AbortSignal): Promise<void> {
    await this.#named(source, this.#client.tagImage({ source, target }, { signal }));
    this.forgetNames();
  }

  async removeImage(
    reference: string,
    options: { readonly force: boolean; readonly noPrune: boolean },
    signal: AbortSignal,
  ) {
    const inUse: Record<string, string> = {};
    const running: string[] = [];
    for (const view of this.#state.list()) {
      for (const id of imagesOf(view.spec)) {
        if (isRunning(view)) running.push(id);
        // A running one is the better reason to show.
        if (isRunning(view) || inUse[id] === undefined) inUse[id] = view.record.id;
      }
    }
    const request = { reference, ...options, inUse, running };
    const answer = await this.#named(reference, this.#client.removeImage(request, { signal }));
    this.forgetNames();
    return answer.removed;
  }

  async pruneImages(filters: Filters, signal: AbortSignal) {
    const inUse = Object.fromEntries(
      this.#state.list().flatMap(({ spec, record }) => imagesOf(spec).map((id) => [id, record.id])),
    );
    const request = { filters: wireFilters(filters), inUse };
    const { removed, reclaimed } = await this.#client.pruneImages(request, { signal, timeoutMs: 600_000 });
    this.forgetNames();
    return { removed, reclaimed: Number(reclaimed) };
  }

  containerCounts(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { spec } of this.#state.list()) {
      const id = spec.image?.imageId ?? '';
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    return counts;
  }

  async *pullImage(request: Parameters<ImageBackend['pullImage']>[0], signal: AbortSignal) {
    yield* this.#renaming(
      progressOf(this.#client.pullImage(imageV1.PullImageRequest.fromPartial(request), { signal })),
    );
  }

  async *pushImage(request: Parameters<ImageBackend['pushImage']>[0], signal: AbortSignal) {
    yield* progressOf(this.#client.pushImage(imageV1.PushImageRequest.fromPartial(request), { signal }));
  }

  async *importImage(start: imageV1.ImportImageStart, tar: AsyncIterable<Buffer>, signal: AbortSignal) {
    yield* this.#renaming(progressOf(this.#client.importImage(importRequests(start, tar), { signal })));
  }

  async *loadImages(tar: AsyncIterable<Buffer>, signal: AbortSignal) {
    yield* this.#renaming(progressOf(this.#client.loadImages(loadRequests(tar), { signal })));
  }

  async *saveImages(references: readonly string[], signal: AbortSignal): AsyncGenerator<Buffer> {
    for await (const { data } of this.#client.saveImages({ references: [...references] }, { signal })) yield data;
  }

  async usage(signal: AbortSignal): Promise<{ readonly blobBytes: number; readonly images: readonly imageV1.Image[] }> {
    const { blobBytes, images } = await this.#client.getImageUsage({}, { signal });
    return { blobBytes: Number(blobBytes), images };
  }

  async #named<T>(reference: string, answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw hasReason(error, 'not-found') ? noSuchImage(reference, error) : error;
    }
  }

  async *#renaming<T>(answers: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* answers;
    } finally {
      this.forgetNames();
    }
  }
}

/** As the newest; the oldest goes. Without a value the key is free. */
function put<V>(kept: Map<string, V>, key: string, value: V | undefined): void {
  kept.delete(key);
  if (value === undefined) return;
  kept.set(key, value);
  const [oldest] = kept.size > KEPT ? kept.keys() : [];
  if (oldest !== undefined) kept.delete(oldest);
}

/** Errors: data-loss. */
function configOf(image: imageV1.Image): ImageConfig {
  try {
    return JSON.parse(Buffer.from(image.config).toString('utf8')) as ImageConfig;
  } catch (cause) {
    throw dataLoss(`the config of image ${image.id} is not JSON`, { cause });
  }
}

/** Docker's words; a name without a tag is shown with the tag that was looked for. */
function noSuchImage(reference: string, cause?: unknown): AtollError {
  let shown = reference;
  try {
    shown = familiarString(withDefaultTag(parseReference(reference)));
  } catch {
    // An id or its prefix: shown as given.
  }
  return notFound(`No such image: ${shown}`, { cause });
}

function wireFilters(filters: Filters): Record<string, imageV1.FilterValues> {
  return Object.fromEntries([...filters].map(([name, values]) => [name, { values: [...values] }]));
}

async function* progressOf(
  answers: AsyncIterable<{ readonly progress?: imageV1.Progress | undefined }>,
): AsyncGenerator<imageV1.Progress> {
  for await (const { progress } of answers) if (progress !== undefined) yield progress;
}

async function* importRequests(
  start: imageV1.ImportImageStart,
  tar: AsyncIterable<Buffer>,
): AsyncGenerator<imageV1.ImportImageRequest> {
  yield { message: { $case: 'start', value: start } };
  for await (const value of pieces(tar)) yield { message: { $case: 'data', value } };
}

async function* loadRequests(tar: AsyncIterable<Buffer>): AsyncGenerator<imageV1.LoadImagesRequest> {
  for await (const data of pieces(tar)) yield { data };
}

/** Ids of a container's own image and of those it mounts. */
function imagesOf(spec: containerV1.ContainerSpec): readonly string[] {
  return [spec.image, ...spec.mounts.map(({ image }) => image)].flatMap((image) =>
    image?.imageId ? [image.imageId] : [],
  );
}

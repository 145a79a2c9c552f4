import { invalidArgument } from '@atoll/errors';
import { type Platform, parsePlatform } from '@atoll/oci';
import { imageV1 } from '@atoll/proto';
import { type Digest, type ImageReference, parseDigest, parseReference, withDefaultTag } from '@atoll/reference';
import type { AllowTable, Handlers } from '@atoll/rpc';
import { importArchive } from '../../domain/archive/import-archive.ts';
import { loadArchive } from '../../domain/archive/load-archive.ts';
import { saveArchive } from '../../domain/archive/save-archive.ts';
import type { BlobStore } from '../../domain/blobs/blob-store.ts';
import { createImage, tagAll } from '../../domain/images/create-image.ts';
import type { ImageEvents } from '../../domain/images/image-events.ts';
import type { FilterArguments } from '../../domain/images/image-filters.ts';
import { ancestorsOf, imageHistory } from '../../domain/images/image-history.ts';
import type { ImageStore } from '../../domain/images/image-store.ts';
import { listImages } from '../../domain/images/list-images.ts';
import { pruneImages } from '../../domain/images/prune-images.ts';
import type { ImageRemoval, Removed } from '../../domain/images/remove-image.ts';
import { resolveImage } from '../../domain/images/resolve-image.ts';
import type { Documents } from '../../domain/manifests/documents.ts';
import type { Liveness } from '../../domain/manifests/liveness.ts';
import type { Names } from '../../domain/records/names.ts';
import { pullImage } from '../../domain/remote/pull-image.ts';
import { pushImage } from '../../domain/remote/push-image.ts';
import type { RegistryCredentials, RemoteRegistries } from '../../domain/remote/remote-repository.ts';
import { progressStream } from './progress-stream.ts';
import { rechunk } from './rechunk.ts';
import { toImage, toImages } from './to-image.ts';

const GATEWAY = ['gateway', 'operator'] as const;
const BUILD = ['gateway', 'image-builder', 'operator'] as const;

export const IMAGE_ROLES: AllowTable<imageV1.ImageServiceService> = {
  resolveImage: BUILD,
  identifyImage: BUILD,
  listImages: BUILD,
  tagImage: BUILD,
  removeImage: GATEWAY,
  imageHistory: GATEWAY,
  pullImage: BUILD,
  pushImage: GATEWAY,
  importImage: GATEWAY,
  loadImages: GATEWAY,
  saveImages: GATEWAY,
  pruneImages: GATEWAY,
  getImageUsage: GATEWAY,
  createImage: BUILD,
};

export interface ImageServiceOptions {
  readonly images: ImageStore;
  readonly removal: ImageRemoval;
  readonly names: Names;
  readonly blobs: BlobStore;
  readonly documents: Documents;
  readonly liveness: Liveness;
  readonly registries: RemoteRegistries;
  readonly events: ImageEvents;
  readonly platform: Platform;
  readonly maxUnpackedBytes: number;
  /** Told of images whose files are damaged. */
  readonly onDamage: (error: unknown) => void;
  /** Called after images were removed. */
  readonly onRemoved: () => void;
}

/** Docker's image verbs for the gateway and the builder. */
export function imageHandlers(options: ImageServiceOptions): Handlers<imageV1.ImageServiceService> {
  const { images, names, blobs, removal } = options;
  const resolve = (text: string) => resolveImage(images, names, text);
  return {
    resolveImage: async ({ reference }) => {
      const { image } = await resolve(reference);
      return { image: toImage(image, images.references(image.id)) };
    },
    identifyImage: async ({ reference }) => {
      const { image } = await resolve(reference);
      return { id: image.id, manifestDigest: image.record.manifest };
    },
    listImages: async ({ all, filters }) => {
      const listed = await listImages(images, names, all, toFilters(filters), options.onDamage);
      return { images: toImages(listed) };
    },
    tagImage: async ({ source, target }) => {
      const { image } = await resolve(source);
      await images.tag(image, parseTarget(target));
      return {};
    },
    removeImage: async ({ reference, force, noPrune, inUse, running }) => {
      const use = { inUse: new Map(Object.entries(inUse)), running: new Set(running) };
      const removed = await removal.remove(reference, { force, prune: !noPrune, ...use });
      options.onRemoved();
      return { removed: removed.map(toRemoved) };
    },
    imageHistory: async ({ reference }) => {
      const { image } = await resolve(reference);
      const lines = imageHistory(images, image, await ancestorsOf(images, image));
      const entries = lines.map((line) => ({ ...line, created: BigInt(line.created), size: BigInt(line.size) }));
      return imageV1.ImageHistoryResponse.fromPartial({
        entries: entries.map((entry) => ({ ...entry, tags: [...entry.tags] })),
      });
    },
    pullImage: (request, context) =>
      progressStream(context.signal, (report, signal) => {
        const pull = {
          reference: parseReference(request.reference),
          platform: request.platform === '' ? undefined : parsePlatform(request.platform, options.platform),
          allTags: request.allTags,
          credentials: toCredentials(request.auth),
        };
        return pullImage(pull, options, report, signal);
      }),
    pushImage: (request, context) =>
      progressStream(context.signal, (report, signal) =>
        pushImage(parseReference(request.reference), toCredentials(request.auth), options, report, signal),
      ),
    importImage: (requests, context) =>
      progressStream(context.signal, async (report) => {
        const { start, data } = await readImport(requests);
        const image = await importArchive(data, toImport(start, options.platform), options);
        await report({ status: image.id });
      }),
    loadImages: (requests, context) =>
      progressStream(context.signal, (report) => loadArchive(dataOf(requests), options, report)),
    saveImages: ({ references }) => save(references, options),
    pruneImages: async ({ filters, inUse }) => {
      const use = new Map(Object.entries(inUse));
      const { removed, reclaimed } = await pruneImages(images, removal, toFilters(filters), use);
      options.onRemoved();
      return { removed: removed.map(toRemoved), reclaimed: BigInt(reclaimed) };
    },
    getImageUsage: async () => {
      let bytes = 0n;
      for await (const { size } of blobs.list()) bytes += BigInt(size);
      const views = await images.list(options.onDamage);
      const listed = views.map((image) => ({ image, names: images.references(image.id) }));
      return { blobBytes: bytes, images: toImages(listed) };
    },
    createImage: async (request) => {
      const tags = request.tags.map(parseTarget);
      const layers = request.layers.map((layer) => ({
        digest: parseDigest(layer.digest),
        diffId: layer.diffId === '' ? undefined : parseDigest(layer.diffId),
        mediaType: layer.mediaType,
      }));
      const parent: Digest | undefined = request.parent === '' ? undefined : parseDigest(request.parent);
      const image = await createImage(images, blobs, { config: request.config, layers, parent });
      options.events.publish({ action: 'create', actor: image.id, attributes: { name: image.id } });
      await tagAll(images, image, tags);
      return { image: toImage(image, images.references(image.id)) };
    },
  };
}

async function* save(references: readonly string[], options: ImageServiceOptions) {
  if (references.length === 0) throw invalidArgument('no image to save was named');
  const archive = await saveArchive(references, options);
  for await (const data of rechunk(archive)) yield { data };
}

/** A name to give: a tag, `latest` when none is written, never a digest. */
function parseTarget(text: string): ImageReference {
  const reference = parseReference(text);
  if (reference.digest !== undefined) throw invalidArgument('refusing to create a tag with a digest reference');
  return withDefaultTag(reference);
}

function toFilters(filters: { readonly [name: string]: imageV1.FilterValues }): FilterArguments {
  return new Map(Object.entries(filters).map(([name, { values }]) => [name, values]));
}

function toRemoved(removed: Removed): imageV1.RemovedImage {
  return imageV1.RemovedImage.fromPartial(removed);
}

function toCredentials(auth: imageV1.RegistryAuth | undefined): RegistryCredentials | undefined {
  if (auth === undefined) return undefined;
  const { username, password, identityToken, registryToken } = auth;
  const empty = username === '' && password === '' && identityToken === '' && registryToken === '';
  return empty ? undefined : { username, password, identityToken, registryToken };
}

function toImport(start: imageV1.ImportImageStart, platform: Platform) {
  const repository = start.repository === '' ? undefined : parseReference(start.repository);
  if (repository?.digest !== undefined) throw invalidArgument('cannot import digest reference');
  const tag = start.tag || repository?.tag || 'latest';
  return {
    name: repository === undefined ? undefined : parseTarget(`${repository.domain}/${repository.path}:${tag}`),
    changes: start.changes,
    message: start.message,
    platform: start.platform === '' ? platform : parsePlatform(start.platform, platform),
  };
}

async function readImport(requests: AsyncIterable<imageV1.ImportImageRequest>) {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  const message = first.done === true ? undefined : first.value.message;
  if (message?.$case !== 'start') throw invalidArgument('an import begins with its start message');
  async function* data(): AsyncGenerator<Uint8Array> {
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      if (next.value.message?.$case === 'data') yield next.value.message.value;
    }
  }
  return { start: message.value, data: data() };
}

async function* dataOf(requests: AsyncIterable<{ readonly data: Uint8Array }>): AsyncGenerator<Uint8Array> {
  for await (const { data } of requests) yield data;
}

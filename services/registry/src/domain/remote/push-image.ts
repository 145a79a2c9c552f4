import { invalidArgument, notFound } from '@atoll/errors';
import { MEDIA_TYPES } from '@atoll/oci';
import {
  type Digest,
  familiarName,
  familiarString,
  type ImageReference,
  repositoryOf,
  shortDigest,
} from '@atoll/reference';
import type { BlobStore } from '../blobs/blob-store.ts';
import type { ImageEvents } from '../images/image-events.ts';
import type { ImageStore } from '../images/image-store.ts';
import type { ImageView } from '../images/image-view.ts';
import { idOfName } from '../images/resolve-image.ts';
import type { Documents } from '../manifests/documents.ts';
import type { Report } from '../progress.ts';
import type { Names } from '../records/names.ts';
import type { RegistryCredentials, RemoteRegistries, RemoteTarget } from './remote-repository.ts';
import { pushError } from './translate-error.ts';

export interface PushOptions {
  readonly registries: RemoteRegistries;
  readonly images: ImageStore;
  readonly blobs: BlobStore;
  readonly documents: Documents;
  readonly names: Names;
  readonly events: ImageEvents;
}

const PROGRESS_MS = 100;
const MOUNT_TRIES = 3;

/** `docker push`; without a tag all tags of the repository. Errors: not-found and others in Docker's words. */
export async function pushImage(
  reference: ImageReference,
  credentials: RegistryCredentials | undefined,
  options: PushOptions,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  if (reference.digest !== undefined) throw invalidArgument('cannot push a digest reference');
  const tags = await tagsToPush(reference, options);
  await report({ status: `The push refers to repository [${repositoryOf(reference)}]` });
  try {
    const target = await options.registries.open(reference, 'push', credentials, signal);
    for (const { tag, image } of tags) await pushOne({ ...reference, tag }, image, target, options, report);
  } catch (error) {
    throw pushError(error);
  }
}

async function tagsToPush(
  reference: ImageReference,
  { names, images }: PushOptions,
): Promise<{ tag: string; image: ImageView }[]> {
  const tags =
    reference.tag === undefined ? [...names.repository(repositoryOf(reference)).tags.keys()] : [reference.tag];
  const found: { tag: string; image: ImageView }[] = [];
  for (const tag of tags.sort()) {
    const id = await idOfName(names, { ...reference, tag });
    if (id !== undefined) found.push({ tag, image: await images.get(id) });
  }
  if (found.length > 0) return found;
  if (reference.tag === undefined)
    throw notFound(`An image does not exist locally with the tag: ${familiarName(reference)}`);
  throw notFound(`tag does not exist: ${familiarString(reference)}`);
}

async function pushOne(
  reference: ImageReference & { readonly tag: string },
  image: ImageView,
  target: RemoteTarget,
  options: PushOptions,
  report: Report,
): Promise<void> {
  const layers = [...image.layers].reverse();
  for (const layer of layers) await report({ status: 'Preparing', id: shortDigest(layer.diffId) });
  const pushed = new Set<Digest>();
  for (const layer of layers) {
    if (pushed.has(layer.digest)) continue;
    pushed.add(layer.digest);
    await pushLayer(reference, image.id, layer, target, options, report);
  }
  const { config } = image.manifest;
  if (!(await target.hasBlob(config.digest))) {
    await target.upload(config, async (offset) => one(image.configBytes.subarray(offset)));
  }
  const { manifest: digest, mediaType } = image.record;
  const bytes = await options.documents.bytes(digest);
  await target.putManifest(reference.tag, { digest, mediaType, bytes });
  const size = bytes.byteLength;
  await options.images.nameByDigest(image, reference, { digest, mediaType, size });
  await report({ status: `${reference.tag}: digest: ${digest} size: ${size}` });
  await report({ aux: { Tag: reference.tag, Digest: digest, Size: size } });
  options.events.publish({
    action: 'push',
    actor: familiarString({ ...reference, digest: undefined }),
    attributes: { name: familiarName(reference), ...image.config.config.Labels },
  });
}

async function pushLayer(
  reference: ImageReference,
  image: Digest,
  layer: ImageView['layers'][number],
  target: RemoteTarget,
  options: PushOptions,
  report: Report,
): Promise<void> {
  const id = shortDigest(layer.diffId);
  if (await target.hasBlob(layer.digest)) {
    await report({ status: 'Layer already exists', id });
    return;
  }
  for (const from of mountSources(reference, image, options).slice(0, MOUNT_TRIES)) {
    if (!(await target.mount(layer.digest, from))) continue;
    await report({ status: `Mounted from ${from}`, id });
    return;
  }
  let told = 0;
  const read = async (offset: number): Promise<AsyncIterable<Uint8Array>> => {
    const { stream } = await options.blobs.open(layer.digest, { start: offset, end: layer.size - 1 });
    async function* counted(): AsyncGenerator<Uint8Array> {
      let current = offset;
      for await (const chunk of stream) {
        current += (chunk as Uint8Array).byteLength;
        yield chunk as Uint8Array;
        if (performance.now() - told < PROGRESS_MS) continue;
        told = performance.now();
        await report({ status: 'Pushing', id, current, total: layer.size });
      }
    }
    return counted();
  };
  await target.upload({ digest: layer.digest, size: layer.size, mediaType: MEDIA_TYPES.ociLayer }, read);
  await report({ status: 'Pushed', id });
}

/** Repositories of the same registry that are known to have the image: it was pulled from there or pushed there. */
function mountSources(reference: ImageReference, image: Digest, { images }: PushOptions): string[] {
  const prefix = `${reference.domain}/`;
  const here = repositoryOf(reference);
  const known = images.references(image).filter((name) => name.kind === 'digest' && name.repository.startsWith(prefix));
  return [...new Set(known.map((name) => name.repository))]
    .filter((name) => name !== here)
    .map((name) => name.slice(prefix.length));
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

import { invalidArgument } from '@atoll/errors';
import {
  type Descriptor,
  type ImageManifest,
  isImageConfigType,
  isIndexType,
  type Platform,
  parseImageConfig,
  parseManifest,
  selectManifest,
} from '@atoll/oci';
import {
  type Digest,
  familiarString,
  type ImageReference,
  parseReference,
  shortDigest,
  withDefaultTag,
} from '@atoll/reference';
import type { BlobStore } from '../blobs/blob-store.ts';
import { createImage, type NewLayer } from '../images/create-image.ts';
import type { ImageEvents } from '../images/image-events.ts';
import type { ImageStore } from '../images/image-store.ts';
import type { ImageView } from '../images/image-view.ts';
import type { Report } from '../progress.ts';
import { parseLayoutIndex, parseSavedImages, type SavedImage } from './archive-documents.ts';
import { ArchiveFiles } from './archive-files.ts';
import { inspectLayer } from './verify-layer.ts';

export interface LoadOptions {
  readonly images: ImageStore;
  readonly blobs: BlobStore;
  readonly events: ImageEvents;
  readonly platform: Platform;
  /** Most a layer may unpack to, bytes. */
  readonly maxUnpackedBytes: number;
}

const LAYER_TYPES = { none: 'tar', gzip: 'tar+gzip', zstd: 'tar+zstd' } as const;

/**
 * `docker load`: reads what `docker save` writes (with manifest.json) and OCI layouts. Ids are computed from the content,
 * whatever the archive calls them. Errors: invalid-argument, not-found (an archive that lacks its own files).
 */
export async function loadArchive(
  source: AsyncIterable<Uint8Array>,
  options: LoadOptions,
  report: Report,
): Promise<void> {
  const files = await ArchiveFiles.read(source, options.blobs);
  const layout = files.has('index.json') ? parseLayoutIndex(await files.document('index.json')).manifests : [];
  if (files.has('manifest.json')) {
    const manifests = await manifestsByConfig(files, layout);
    for (const saved of parseSavedImages(await files.document('manifest.json'))) {
      const image = await loadSaved(files, saved, manifests, options, report);
      await announce(image, (saved.RepoTags ?? []).map(parseTag), options, report);
    }
    return;
  }
  if (layout.length === 0) {
    throw invalidArgument(
      'the archive holds no images: it has neither manifest.json (docker save) nor index.json (OCI layout)',
    );
  }
  for (const descriptor of layout) {
    const image = await loadDescriptor(files, descriptor, options, report);
    const name = nameOf(descriptor);
    await announce(image, name === undefined ? [] : [name], options, report);
  }
}

/** The archive's own manifests of images whose every part it has, by the config's digest. */
async function manifestsByConfig(files: ArchiveFiles, layout: readonly Descriptor[]): Promise<Map<Digest, Uint8Array>> {
  const found = new Map<Digest, Uint8Array>();
  for (const { digest, mediaType } of layout) {
    if (isIndexType(mediaType) || !files.hasDigest(digest)) continue;
    const bytes = await files.documentByDigest(digest);
    const manifest = parseManifest(bytes);
    if (manifest.kind !== 'manifest' || !isImageConfigType(manifest.config.mediaType)) continue;
    if (manifest.layers.every((layer) => files.hasDigest(layer.digest))) found.set(manifest.config.digest, bytes);
  }
  return found;
}

async function loadSaved(
  files: ArchiveFiles,
  saved: SavedImage,
  manifests: ReadonlyMap<Digest, Uint8Array>,
  options: LoadOptions,
  report: Report,
): Promise<ImageView> {
  const configBytes = await files.document(saved.Config);
  const { digest: id } = await files.store(saved.Config);
  const config = parseImageConfig(configBytes);
  const paths = saved.Layers ?? [];
  if (paths.length !== config.diffIds.length) {
    throw invalidArgument(
      `invalid manifest, layers length mismatch: expected ${config.diffIds.length}, got ${paths.length}`,
    );
  }
  const layers: NewLayer[] = [];
  for (const [i, path] of paths.entries()) {
    layers.push(await takeLayer(await files.store(path), i, config.diffIds[i], options, report));
  }
  const own = manifests.get(id);
  if (own !== undefined && sameLayers(parseManifest(own) as ImageManifest, layers))
    return await options.images.register(own);
  return await createImage(options.images, options.blobs, { config: configBytes, layers, parent: undefined });
}

async function loadDescriptor(
  files: ArchiveFiles,
  descriptor: Descriptor,
  options: LoadOptions,
  report: Report,
  depth = 0,
): Promise<ImageView> {
  const bytes = await files.documentByDigest(descriptor.digest);
  const manifest = parseManifest(bytes, descriptor.mediaType);
  if (manifest.kind === 'index') {
    const chosen = selectManifest(manifest.manifests, options.platform);
    if (chosen === undefined || depth > 2)
      throw invalidArgument('the archive has no image for the platform of this cluster');
    return await loadDescriptor(files, chosen, options, report, depth + 1);
  }
  const config = parseImageConfig(await files.documentByDigest(manifest.config.digest));
  await files.storeDigest(manifest.config.digest);
  for (const [i, layer] of manifest.layers.entries()) {
    await takeLayer(await files.storeDigest(layer.digest), i, config.diffIds[i], options, report);
  }
  return await options.images.register(bytes);
}

/** Checks that a layer is what the config says. */
async function takeLayer(
  stored: { digest: Digest; size: number },
  position: number,
  expected: Digest | undefined,
  options: LoadOptions,
  report: Report,
): Promise<NewLayer> {
  const { compression, diffId } = await inspectLayer(options.blobs, stored.digest, options.maxUnpackedBytes);
  if (diffId !== expected) {
    throw invalidArgument(`invalid diffID for layer ${position}: expected "${expected ?? 'none'}", got "${diffId}"`);
  }
  await report({ status: 'Loading layer', id: shortDigest(diffId), current: stored.size, total: stored.size });
  return { digest: stored.digest, diffId, mediaType: `application/vnd.oci.image.layer.v1.${LAYER_TYPES[compression]}` };
}

function sameLayers(manifest: ImageManifest, layers: readonly NewLayer[]): boolean {
  return (
    manifest.layers.length === layers.length && manifest.layers.every((layer, i) => layer.digest === layers[i]?.digest)
  );
}

async function announce(
  image: ImageView,
  names: readonly ImageReference[],
  { images, events }: LoadOptions,
  report: Report,
): Promise<void> {
  for (const name of names) {
    const before = await images.tag(image, name);
    const familiar = familiarString(name);
    if (before !== undefined) {
      await report({
        stream: `The image ${familiar} already exists, renaming the old one with ID ${before} to empty string\n`,
      });
    }
    await report({ stream: `Loaded image: ${familiar}\n` });
    events.publish({ action: 'load', actor: image.id, attributes: { name: familiar } });
  }
  if (names.length > 0) return;
  await report({ stream: `Loaded image ID: ${image.id}\n` });
  events.publish({ action: 'load', actor: image.id, attributes: { name: image.id } });
}

function parseTag(text: string): ImageReference {
  const reference = parseReference(text);
  if (reference.tag === undefined)
    throw invalidArgument(`invalid tag ${JSON.stringify(text.slice(0, 200))} in manifest.json`);
  return reference;
}

/** The name an OCI layout gives an image; a bare tag is none. */
function nameOf({ annotations }: Descriptor): ImageReference | undefined {
  const full = annotations?.['io.containerd.image.name'] ?? annotations?.['org.opencontainers.image.ref.name'];
  if (full === undefined || !/[:/]/.test(full)) return undefined;
  return withDefaultTag(parseReference(full));
}

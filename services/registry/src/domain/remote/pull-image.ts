import { invalidArgument, notFound } from '@atoll/errors';
import {
  DOCUMENT_LIMITS,
  type ImageManifest,
  isImageConfigType,
  type Platform,
  parseImageConfig,
  parseManifest,
  platformScore,
  platformString,
  selectManifest,
} from '@atoll/oci';
import { type Digest, familiarName, familiarString, type ImageReference, withDefaultTag } from '@atoll/reference';
import { type BlobStore, storeBytes } from '../blobs/blob-store.ts';
import type { ImageEvents } from '../images/image-events.ts';
import type { ImageStore } from '../images/image-store.ts';
import { idOfName } from '../images/resolve-image.ts';
import type { Liveness } from '../manifests/liveness.ts';
import type { Report } from '../progress.ts';
import type { Names } from '../records/names.ts';
import { fetchBlob, fetchLayers } from './fetch-layers.ts';
import type { RegistryCredentials, RemoteManifest, RemoteRegistries, RemoteSource } from './remote-repository.ts';
import { pullError } from './translate-error.ts';

export interface PullOptions {
  readonly registries: RemoteRegistries;
  readonly images: ImageStore;
  readonly blobs: BlobStore;
  readonly names: Names;
  readonly liveness: Liveness;
  readonly events: ImageEvents;
  /** The cluster's. */
  readonly platform: Platform;
}

export interface PullRequest {
  readonly reference: ImageReference;
  /** Undefined: the cluster's, and an image of another one is taken too when there is no choice. */
  readonly platform: Platform | undefined;
  readonly allTags: boolean;
  readonly credentials: RegistryCredentials | undefined;
}

/**
 * `docker pull`. Every byte is checked against its digest before it counts; the name moves last.
 * Errors: not-found and others in Docker's words, cancelled.
 */
export async function pullImage(
  request: PullRequest,
  options: PullOptions,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const { reference } = request;
  try {
    const source = await options.registries.open(reference, 'pull', request.credentials, signal);
    if (!request.allTags) {
      await pullOne(source, withDefaultTag(reference), request.platform, options, report, signal);
      return;
    }
    const tags = await source.tags();
    if (tags.length === 0) throw notFound(`${familiarName(reference)} has no tags`);
    for (const tag of tags) await pullOne(source, { ...reference, tag }, request.platform, options, report, signal);
  } catch (error) {
    throw pullError(error, withDefaultTag(reference));
  }
}

async function pullOne(
  source: RemoteSource,
  reference: ImageReference,
  wanted: Platform | undefined,
  options: PullOptions,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const { images, blobs, names, liveness, events } = options;
  const what = reference.digest ?? reference.tag ?? 'latest';
  await report({ status: `Pulling from ${reference.path}`, id: what });
  const found = await source.manifest(what);
  const { manifest, bytes } = await choose(source, found, reference, wanted ?? options.platform);
  using _hold = liveness.hold([found.digest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)]);
  await fetchConfig(source, blobs, manifest, reference, wanted);
  await fetchLayers(source, blobs, manifest.layers, report, signal);
  const before = await idOfName(names, reference);
  const image = await images.register(bytes);
  await storeBytes(blobs, found.bytes, found.digest);
  await images.nameByDigest(image, reference, { ...found, size: found.bytes.byteLength });
  if (reference.digest === undefined) await images.tag(image, reference);
  const familiar = familiarString(reference);
  await report({ status: `Digest: ${found.digest}` });
  await report({
    status:
      before === image.id
        ? `Status: Image is up to date for ${familiar}`
        : `Status: Downloaded newer image for ${familiar}`,
  });
  events.publish({
    action: 'pull',
    actor: familiar,
    attributes: { name: familiarName(reference), ...image.config.config.Labels },
  });
}

/** The image manifest itself, or what the index offers for the platform. */
async function choose(
  source: RemoteSource,
  found: RemoteManifest,
  reference: ImageReference,
  platform: Platform,
): Promise<{ manifest: ImageManifest; bytes: Uint8Array }> {
  let next = found;
  for (let depth = 0; depth < 3; depth += 1) {
    const manifest = parseManifest(next.bytes, next.mediaType);
    if (manifest.kind === 'manifest') {
      if (isImageConfigType(manifest.config.mediaType)) return { manifest, bytes: next.bytes };
      throw invalidArgument(
        `${familiarString(reference)} is no image but an artifact of type ${manifest.artifactType ?? manifest.config.mediaType}`,
      );
    }
    const chosen = selectManifest(manifest.manifests, platform);
    if (chosen === undefined) {
      throw notFound(`no matching manifest for ${platformString(platform)} in the manifest list entries`);
    }
    next = await source.manifest(chosen.digest);
  }
  throw invalidArgument(`the indexes of ${familiarString(reference)} are nested too deeply`);
}

async function fetchConfig(
  source: RemoteSource,
  blobs: BlobStore,
  manifest: ImageManifest,
  reference: ImageReference,
  wanted: Platform | undefined,
): Promise<Digest> {
  const { digest, size } = manifest.config;
  if (size > DOCUMENT_LIMITS.maxBytes) throw invalidArgument(`the config of ${familiarString(reference)} is too large`);
  if ((await blobs.touch(digest)) === undefined) await fetchBlob(source, blobs, manifest.config, async () => undefined);
  const config = parseImageConfig(await blobs.read(digest, DOCUMENT_LIMITS.maxBytes));
  if (wanted !== undefined && platformScore(wanted, config) === 0) {
    throw notFound(
      `image with reference ${familiarString(reference)} was found but its platform (${platformString(config)}) does not match the specified platform (${platformString(wanted)})`,
    );
  }
  return digest;
}

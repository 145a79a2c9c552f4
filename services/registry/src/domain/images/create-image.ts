import { invalidArgument, notFound } from '@atoll/errors';
import { compressionOf, layerMediaType, MEDIA_TYPES, parseImageConfig, serializeManifest } from '@atoll/oci';
import type { Digest, ImageReference } from '@atoll/reference';
import { type BlobStore, storeBytes } from '../blobs/blob-store.ts';
import type { ImageStore } from './image-store.ts';
import type { ImageView } from './image-view.ts';

export interface NewLayer {
  readonly digest: Digest;
  /** Checked against the config when given. */
  readonly diffId: Digest | undefined;
  /** Empty: a gzip-compressed layer. */
  readonly mediaType: string;
}

export interface NewImage {
  readonly config: Uint8Array;
  /** Base first; every blob is in the store. */
  readonly layers: readonly NewLayer[];
  readonly parent: Digest | undefined;
}

/**
 * Makes an image of a config and layers that are in the store, as the builder and `commit` do. The manifest is Docker's
 * version 2 schema 2, which every client reads; OCI's when a layer is zstd, for which Docker's has no type.
 * Errors: invalid-argument, not-found (a layer's blob is missing), resource-exhausted.
 */
export async function createImage(images: ImageStore, blobs: BlobStore, input: NewImage): Promise<ImageView> {
  const config = parseImageConfig(input.config);
  if (config.diffIds.length !== input.layers.length) {
    throw invalidArgument(
      `the config has ${config.diffIds.length} diff ids, ${input.layers.length} layers are given; they have to be the same`,
    );
  }
  const types = input.layers.map((layer) => compressionOf(layer.mediaType || MEDIA_TYPES.dockerLayerGzip));
  const oci = types.includes('zstd');
  const layers = await Promise.all(
    input.layers.map(async ({ digest, diffId }, i) => {
      if (diffId !== undefined && diffId !== config.diffIds[i]) {
        throw invalidArgument(`layer ${i} has the diff id ${diffId}, the config says ${config.diffIds[i]}`);
      }
      const stored = await blobs.touch(digest);
      if (stored === undefined) throw notFound(`the layer ${digest} is not in the store; write it first`);
      const type = types[i] ?? 'gzip';
      return { mediaType: oci ? ociLayer(type) : layerMediaType(type), digest, size: stored.size };
    }),
  );
  const stored = await storeBytes(blobs, input.config);
  const manifest = serializeManifest({
    mediaType: oci ? MEDIA_TYPES.ociManifest : MEDIA_TYPES.dockerManifest,
    config: {
      mediaType: oci ? MEDIA_TYPES.ociConfig : MEDIA_TYPES.dockerConfig,
      digest: stored.digest,
      size: stored.size,
    },
    layers,
  });
  return await images.register(manifest, input.parent);
}

function ociLayer(compression: 'none' | 'gzip' | 'zstd'): string {
  if (compression === 'gzip') return MEDIA_TYPES.ociLayerGzip;
  return compression === 'zstd' ? MEDIA_TYPES.ociLayerZstd : MEDIA_TYPES.ociLayer;
}

/** Tags an image with several names, in order. */
export async function tagAll(images: ImageStore, image: ImageView, names: readonly ImageReference[]): Promise<void> {
  for (const name of names) await images.tag(image, name);
}

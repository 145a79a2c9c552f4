import { invalidArgument } from '@atoll/errors';
import type { ImageConfig, ImageManifest } from '@atoll/oci';
import type { Digest } from '@atoll/reference';
import type { Documents } from '../manifests/documents.ts';
import type { ImageRecord } from '../records/records.ts';

/** A layer as stored; `size` in bytes of the blob. */
export interface ImageLayer {
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly mediaType: string;
  readonly size: number;
}

/** An image with everything that is known about it. Docker's image id is the digest of the config. */
export interface ImageView {
  readonly id: Digest;
  readonly record: ImageRecord;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
  readonly configBytes: Uint8Array;
  /** Base first. */
  readonly layers: readonly ImageLayer[];
  /** Unix seconds. */
  readonly createdAt: number;
  /** Bytes of all layers as stored: how large they are unpacked is not known here. */
  readonly size: number;
}

/** Reads an image. Errors: not-found, data-loss, invalid-argument (manifest and config do not belong together). */
export async function viewImage(documents: Documents, id: Digest, record: ImageRecord): Promise<ImageView> {
  const [manifest, configBytes, config] = await Promise.all([
    documents.manifest(record.manifest),
    documents.bytes(id),
    documents.config(id),
  ]);
  const layers = layersOf(manifest as ImageManifest, config);
  const created = config.created === undefined ? Number.NaN : Date.parse(config.created);
  return {
    id,
    record,
    manifest: manifest as ImageManifest,
    config,
    configBytes,
    layers,
    createdAt: Math.floor((Number.isNaN(created) ? record.at : created) / 1000),
    size: layers.reduce((sum, layer) => sum + layer.size, 0),
  };
}

/** The layers of a manifest with the diff ids of its config. Errors: invalid-argument when their numbers differ. */
export function layersOf(manifest: ImageManifest, config: ImageConfig): readonly ImageLayer[] {
  if (manifest.layers.length !== config.diffIds.length) {
    throw invalidArgument(
      `the manifest has ${manifest.layers.length} layers, its config has ${config.diffIds.length} diff ids`,
    );
  }
  return manifest.layers.map(({ digest, mediaType, size }, i) => ({
    digest,
    mediaType,
    size,
    diffId: config.diffIds[i] as Digest,
  }));
}

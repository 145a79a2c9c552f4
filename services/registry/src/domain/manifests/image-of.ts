import { hasReason } from '@atoll/errors';
import { type ImageManifest, isImageConfigType, type Manifest, type Platform, selectManifest } from '@atoll/oci';
import type { Digest } from '@atoll/reference';
import type { Documents } from './documents.ts';

/** A manifest of one image, with its own digest. */
export interface LocatedManifest {
  readonly digest: Digest;
  readonly manifest: ImageManifest;
}

const MAX_NESTING = 3;

/**
 * The image a manifest means on a platform: itself, or what its index chooses. Undefined when it is no image, when nothing
 * fits the platform or when the chosen manifest is not in the store. Nested indexes are followed a few steps only, so that
 * one that contains itself ends.
 */
export async function imageOf(
  documents: Documents,
  digest: Digest,
  manifest: Manifest,
  platform: Platform,
  depth = 0,
): Promise<LocatedManifest | undefined> {
  if (manifest.kind === 'manifest') {
    const runnable = isImageConfigType(manifest.config.mediaType) && manifest.artifactType === undefined;
    return runnable ? { digest, manifest } : undefined;
  }
  const chosen = selectManifest(manifest.manifests, platform);
  if (chosen === undefined || depth >= MAX_NESTING) return undefined;
  try {
    const next = await documents.manifest(chosen.digest);
    return await imageOf(documents, chosen.digest, next, platform, depth + 1);
  } catch (error) {
    if (hasReason(error, 'not-found')) return undefined;
    throw error;
  }
}

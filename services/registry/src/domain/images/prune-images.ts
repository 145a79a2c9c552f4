import { hasReason } from '@atoll/errors';
import type { Digest } from '@atoll/reference';
import { checkFilters, type FilterArguments, flagOf, labelsOf, matchesLabels, untilOf } from './image-filters.ts';
import { familiarNameOf, type ImageStore } from './image-store.ts';
import type { ImageRemoval, Removed } from './remove-image.ts';

export interface PruneResult {
  readonly removed: readonly Removed[];
  /** Bytes of the layers that no image needs any more. */
  readonly reclaimed: number;
}

/**
 * `docker image prune`: removes images without a tag, or with `dangling=false` all that no container uses.
 * Errors: invalid-argument (filters).
 */
export async function pruneImages(
  images: ImageStore,
  removal: ImageRemoval,
  filters: FilterArguments,
  inUse: ReadonlyMap<string, string>,
): Promise<PruneResult> {
  checkFilters(filters, ['dangling', 'label', 'label!', 'until']);
  const danglingOnly = flagOf(filters, 'dangling') ?? true;
  const until = untilOf(filters, Date.now());
  const before = await blobSizes(images);
  const removed: Removed[] = [];
  for (const image of await images.list(() => undefined)) {
    if (inUse.has(image.id) || !matchesLabels(filters, labelsOf(image))) continue;
    if (until !== undefined && image.createdAt * 1000 > until) continue;
    const tags = images.references(image.id).filter((name) => name.kind === 'tag');
    if (danglingOnly && tags.length > 0) continue;
    const targets = tags.length > 0 ? tags.map(familiarNameOf) : [image.id];
    for (const target of targets) removed.push(...(await removeQuietly(removal, target, inUse)));
  }
  const after = await blobSizes(images);
  const reclaimed = [...before].reduce((sum, [digest, size]) => sum + (after.has(digest) ? 0 : size), 0);
  return { removed, reclaimed };
}

/** What cannot go (a child needs it, it went with another) stays, as with docker. */
async function removeQuietly(
  removal: ImageRemoval,
  target: string,
  inUse: ReadonlyMap<string, string>,
): Promise<readonly Removed[]> {
  try {
    return await removal.remove(target, { force: false, prune: true, inUse, running: new Set() });
  } catch (error) {
    if (hasReason(error, 'conflict', 'not-found')) return [];
    throw error;
  }
}

/** Blobs of all images, each once. */
async function blobSizes(images: ImageStore): Promise<Map<Digest, number>> {
  const sizes = new Map<Digest, number>();
  for (const image of await images.list(() => undefined)) {
    for (const { digest, size } of image.layers) sizes.set(digest, size);
  }
  return sizes;
}

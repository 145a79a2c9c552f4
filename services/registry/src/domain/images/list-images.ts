import type { NameOfImage } from '../records/image-references.ts';
import type { Names } from '../records/names.ts';
import {
  checkFilters,
  type FilterArguments,
  flagOf,
  labelsOf,
  matchesLabels,
  nameMatcher,
  untilOf,
} from './image-filters.ts';
import type { ImageStore } from './image-store.ts';
import type { ImageView } from './image-view.ts';
import { resolveImage } from './resolve-image.ts';

/** An image of a list with those of its names that the filters let through. */
export interface ListedImage {
  readonly image: ImageView;
  readonly names: readonly NameOfImage[];
}

const FILTERS = ['dangling', 'label', 'label!', 'before', 'since', 'reference', 'until'];

/**
 * `docker images`: newest first. Without `all`, images that only serve as a step of another (no name, but children) are
 * left out. Errors: invalid-argument (unknown or bad filter), not-found (the image of before or since).
 */
export async function listImages(
  images: ImageStore,
  names: Names,
  all: boolean,
  filters: FilterArguments,
  onDamage: (error: unknown) => void,
): Promise<ListedImage[]> {
  checkFilters(filters, FILTERS);
  const dangling = flagOf(filters, 'dangling');
  const matches = nameMatcher(filters);
  const inTime = await timeFilter(images, names, filters);
  const parents = new Set([...names.images.values()].map((record) => record.parent));
  const listed: ListedImage[] = [];
  for (const image of await images.list(onDamage)) {
    if (!inTime(image) || !matchesLabels(filters, labelsOf(image))) continue;
    const shown = images.references(image.id).filter(matches);
    const tagged = shown.some((name) => name.kind === 'tag');
    if (shown.length === 0) {
      if (filters.has('reference') || dangling === false) continue;
      if (!all && parents.has(image.id)) continue;
    } else if (dangling === true && tagged) continue;
    listed.push({ image, names: shown });
  }
  return listed.sort((a, b) => b.image.createdAt - a.image.createdAt);
}

async function timeFilter(
  images: ImageStore,
  names: Names,
  filters: FilterArguments,
): Promise<(image: ImageView) => boolean> {
  const created = async (text: string): Promise<number> => (await resolveImage(images, names, text)).image.createdAt;
  const before = await Promise.all((filters.get('before') ?? []).map(created));
  const since = await Promise.all((filters.get('since') ?? []).map(created));
  const until = untilOf(filters, Date.now());
  return ({ createdAt }) =>
    before.every((limit) => createdAt < limit) &&
    since.every((limit) => createdAt > limit) &&
    (until === undefined || createdAt * 1000 <= until);
}

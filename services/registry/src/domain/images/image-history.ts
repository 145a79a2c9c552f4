import type { Digest } from '@atoll/reference';
import { familiarNameOf, type ImageStore } from './image-store.ts';
import type { ImageView } from './image-view.ts';

/** A line of `docker history`. */
export interface HistoryLine {
  /** `<missing>` where the step is not an image of its own. */
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly createdBy: string;
  readonly tags: readonly string[];
  readonly size: number;
  readonly comment: string;
}

/** How an image came to be, newest step first. A step that is the last one of a parent image carries that image's id. */
export function imageHistory(images: ImageStore, image: ImageView, ancestors: readonly ImageView[]): HistoryLine[] {
  const lines: HistoryLine[] = [];
  const idAt = new Map<number, Digest>(ancestors.map((ancestor) => [ancestor.config.history.length - 1, ancestor.id]));
  let layer = 0;
  image.config.history.forEach((entry, step) => {
    const empty = entry.empty_layer === true;
    const size = empty ? 0 : (image.layers[layer]?.size ?? 0);
    if (!empty) layer += 1;
    const created = entry.created === undefined ? Number.NaN : Date.parse(entry.created);
    const id = step === image.config.history.length - 1 ? image.id : idAt.get(step);
    lines.push({
      id: id ?? '<missing>',
      created: Number.isNaN(created) ? 0 : Math.floor(created / 1000),
      createdBy: entry.created_by ?? '',
      tags: id === undefined ? [] : tagsOf(images, id),
      size,
      comment: entry.comment ?? '',
    });
  });
  return lines.reverse();
}

/** The images an image was built on as far as they are in the store, nearest first. */
export async function ancestorsOf(images: ImageStore, image: ImageView): Promise<ImageView[]> {
  const found: ImageView[] = [];
  const seen = new Set<Digest>([image.id]);
  for (let next = image.record.parent; next !== undefined && !seen.has(next); ) {
    seen.add(next);
    const parent: ImageView | undefined = await images.get(next).catch(() => undefined);
    if (parent === undefined) break;
    found.push(parent);
    next = parent.record.parent;
  }
  return found;
}

export function tagsOf(images: ImageStore, id: Digest): string[] {
  return images
    .references(id)
    .filter((name) => name.kind === 'tag')
    .map(familiarNameOf);
}

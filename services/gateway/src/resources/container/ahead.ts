import type { ResolvedImage } from '../image/resolved-image.ts';

/**
 * Creates with what a name most likely means while the registry is asked, which is a tenth of the time of a create. If it means something else by
 * now, or nothing, that is undone. Errors: those of `certain`; of `create`, when the name means what was likely; of `undo`.
 */
export async function ahead<T>(work: {
  readonly likely: ResolvedImage;
  readonly certain: Promise<ResolvedImage>;
  readonly create: (image: ResolvedImage) => Promise<T>;
  readonly undo: (created: T) => Promise<void>;
}): Promise<T> {
  const { likely, certain, create, undo } = work;
  const [made, known] = await Promise.allSettled([create(likely), certain]);
  if (known.status === 'fulfilled' && isSame(known.value, likely)) {
    if (made.status === 'rejected') throw made.reason;
    return made.value;
  }
  if (made.status === 'fulfilled') await undo(made.value);
  if (known.status === 'rejected') throw known.reason;
  return await create(known.value);
}

function isSame({ image: one }: ResolvedImage, { image: other }: ResolvedImage): boolean {
  return one.id === other.id && one.manifestDigest === other.manifestDigest;
}

import { hasReason, notFound } from '@atoll/errors';
import {
  type Digest,
  familiarString,
  type ImageReference,
  isDigest,
  parseReference,
  repositoryOf,
  withDefaultTag,
} from '@atoll/reference';
import type { Names } from '../records/names.ts';
import type { ImageStore } from './image-store.ts';
import type { ImageView } from './image-view.ts';

export interface ResolvedImage {
  readonly image: ImageView;
  /** The name it was found by, with its tag or digest; undefined when it was found by id. */
  readonly name: ImageReference | undefined;
}

/**
 * Finds an image as docker does: by full id, then by name (tag `latest` when none is given) or digest, then by a prefix of
 * its id. Errors: not-found in Docker's words, also for a prefix that several ids have.
 */
export async function resolveImage(images: ImageStore, names: Names, text: string): Promise<ResolvedImage> {
  const full = /^[0-9a-f]{64}$/.test(text) ? `sha256:${text}` : text;
  if (isDigest(full)) return { image: await byId(images, full, text), name: undefined };
  const reference = parseOrUndefined(text);
  if (reference !== undefined) {
    const named = withDefaultTag(reference);
    const id = await idOfName(names, named);
    if (id !== undefined) return { image: await byId(images, id, text), name: named };
  }
  const prefix = /^(?:sha256:)?([0-9a-f]{1,64})$/.exec(text)?.[1];
  const matches = prefix === undefined ? [] : images.startingWith(prefix);
  const [only] = matches;
  if (only !== undefined && matches.length === 1) return { image: await byId(images, only, text), name: undefined };
  const shown = reference === undefined ? text : familiarString(withDefaultTag(reference));
  const hint = matches.length > 1 ? ` (${text} is the start of ${matches.length} image ids; give more digits)` : '';
  throw notFound(`No such image: ${shown}${hint}`);
}

/** The image a name means, undefined when the name is not there or is no image's. */
export async function idOfName(names: Names, reference: ImageReference): Promise<Digest | undefined> {
  const repository = repositoryOf(reference);
  if (reference.digest === undefined) return (await names.tag(repository, reference.tag ?? 'latest'))?.image;
  const { digest } = reference;
  const record = await names.manifest(repository, digest);
  if (record !== undefined) return record.image;
  for (const tag of names.repository(repository).tags.values()) if (tag.digest === digest) return tag.image;
  return undefined;
}

async function byId(images: ImageStore, id: Digest, text: string): Promise<ImageView> {
  try {
    return await images.get(id);
  } catch (error) {
    if (hasReason(error, 'not-found')) throw notFound(`No such image: ${text}`, { cause: error });
    throw error;
  }
}

function parseOrUndefined(text: string): ImageReference | undefined {
  try {
    return parseReference(text);
  } catch (error) {
    if (hasReason(error, 'invalid-argument') && /^(?:sha256:)?[0-9a-f]{1,64}$/.test(text)) return undefined;
    throw error;
  }
}

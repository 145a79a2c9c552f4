import { conflict, hasReason } from '@atoll/errors';
import { chainIds } from '@atoll/oci';
import { type Digest, familiarName, familiarString, parseReference, repositoryOf, shortDigest } from '@atoll/reference';
import type { NameOfImage } from '../records/image-references.ts';
import type { Names } from '../records/names.ts';
import { familiarNameOf, type ImageStore } from './image-store.ts';
import { resolveImage } from './resolve-image.ts';

/** What containers say about images. */
export interface ImageUse {
  /** Image id to the id of a container made from it. */
  readonly inUse: ReadonlyMap<string, string>;
  /** Those of them that run. */
  readonly running: ReadonlySet<string>;
}

export interface RemoveOptions extends ImageUse {
  readonly force: boolean;
  /** Also remove parents nobody names. */
  readonly prune: boolean;
}

export type Removed = { readonly untagged: string } | { readonly deleted: string };

/**
 * `docker rmi`: removes a name, and the image when that was its last one; or an image by id with all its names, if they are
 * in one repository. Answers what went, in order. Errors: not-found, conflict, both in Docker's words.
 */
export class ImageRemoval {
  readonly #images: ImageStore;
  readonly #names: Names;

  constructor(images: ImageStore, names: Names) {
    this.#images = images;
    this.#names = names;
  }

  async remove(text: string, options: RemoveOptions): Promise<Removed[]> {
    const { image, name } = await resolveImage(this.#images, this.#names, text);
    const removed: Removed[] = [];
    const single = isSingleReference(this.#images.references(image.id));
    if (name === undefined) {
      if (single) {
        this.#refuse(image.id, { ...options, names: false });
        await this.#untagAll(image.id, removed);
      }
      await this.#delete(image.id, options, removed, false);
      return removed;
    }
    const container = options.inUse.get(image.id);
    if (!options.force && single && container !== undefined) {
      throw conflict(
        `conflict: unable to remove repository reference "${text}" (must force) - container ${container.slice(0, 12)} is using its referenced image ${shortDigest(image.id)}`,
      );
    }
    const repository = repositoryOf(name);
    const isTag = name.digest === undefined;
    const wanted = this.#images
      .references(image.id)
      .find(
        (known) =>
          known.repository === repository &&
          (isTag ? known.kind === 'tag' && known.tag === name.tag : known.manifest === name.digest),
      );
    if (wanted !== undefined) await this.#images.untag(image.id, wanted);
    removed.push({ untagged: familiarString(isTag ? name : { ...name, tag: undefined }) });
    if (isTag) await this.#dropDigests(image.id, repository, removed);
    if (this.#images.references(image.id).length > 0) return removed;
    await this.#delete(image.id, options, removed, true);
    return removed;
  }

  /** Digest names go with the last tag of their repository. */
  async #dropDigests(id: Digest, repository: string, removed: Removed[]): Promise<void> {
    const inRepository = this.#images.references(id).filter((known) => known.repository === repository);
    if (inRepository.some((known) => known.kind === 'tag')) return;
    for (const known of inRepository) {
      await this.#images.untag(id, known);
      removed.push({ untagged: familiarNameOf(known) });
    }
  }

  async #untagAll(id: Digest, removed: Removed[]): Promise<void> {
    for (const known of this.#images.references(id)) {
      await this.#images.untag(id, known);
      removed.push({ untagged: familiarNameOf(known) });
    }
  }

  async #delete(id: Digest, options: RemoveOptions, removed: Removed[], quiet: boolean): Promise<void> {
    try {
      this.#refuse(id, { ...options, names: true });
    } catch (error) {
      // The name went; a child that keeps the image says enough, and so does a container.
      const dangling = this.#images.references(id).length + this.#images.children(id).length === 0;
      if (quiet && hasReason(error, 'conflict') && (!dangling || options.inUse.has(id))) return;
      throw error;
    }
    const image = await this.#images.get(id);
    await this.#untagAll(id, removed);
    await this.#images.delete(id);
    removed.push({ deleted: id });
    const kept = await this.#layersInUse();
    for (const chain of [...chainIds(image.config.diffIds)].reverse())
      if (!kept.has(chain)) removed.push({ deleted: chain });
    const { parent } = image.record;
    if (!options.prune || parent === undefined || !this.#names.images.has(parent)) return;
    await this.#delete(parent, { ...options, force: false }, removed, true);
  }

  async #layersInUse(): Promise<Set<Digest>> {
    const views = await this.#images.list(() => undefined);
    return new Set(views.flatMap((view) => chainIds(view.config.diffIds)));
  }

  /** Throws the first reason why an image must not go, hard ones first; soft ones yield to force. */
  #refuse(id: Digest, options: RemoveOptions & { readonly names: boolean }): void {
    const container = options.inUse.get(id)?.slice(0, 12) ?? '';
    const refuse = (how: 'cannot be forced' | 'must be forced', why: string) =>
      conflict(`conflict: unable to delete ${shortDigest(id)} (${how}) - ${why}`);
    if (this.#images.children(id).length > 0) throw refuse('cannot be forced', 'image has dependent child images');
    if (options.running.has(id)) {
      throw refuse('cannot be forced', `image is being used by running container ${container}`);
    }
    if (options.force) return;
    if (options.names && this.#images.references(id).length > 0) {
      throw refuse('must be forced', 'image is referenced in multiple repositories');
    }
    if (options.inUse.has(id)) throw refuse('must be forced', `image is being used by stopped container ${container}`);
  }
}

/** Whether all names of an image are in one repository, at most one of them a tag. */
function isSingleReference(names: readonly NameOfImage[]): boolean {
  if (names.length <= 1) return true;
  const tags = names.filter((name) => name.kind === 'tag');
  const repositories = new Set(names.map((name) => familiarName(parseReference(name.repository))));
  return tags.length <= 1 && repositories.size === 1;
}

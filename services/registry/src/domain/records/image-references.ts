import type { Digest } from '@atoll/reference';

/** A name of an image: a tag or a digest in a repository. */
export type NameOfImage =
  | { readonly kind: 'tag'; readonly repository: string; readonly tag: string; readonly manifest: Digest }
  | { readonly kind: 'digest'; readonly repository: string; readonly manifest: Digest };

/** From an image to its names, kept up to date name by name. */
export class ImageReferences {
  readonly #byImage = new Map<Digest, Map<string, NameOfImage>>();
  readonly #imageOf = new Map<string, Digest>();

  /** All names of an image: tags first, each sorted. */
  of(image: Digest): readonly NameOfImage[] {
    const names = [...(this.#byImage.get(image)?.entries() ?? [])];
    return names.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, name]) => name);
  }

  set(name: NameOfImage, image: Digest | undefined): void {
    const key = keyOf(name);
    this.#drop(key);
    if (image === undefined) return;
    this.#imageOf.set(key, image);
    const names = this.#byImage.get(image) ?? new Map<string, NameOfImage>();
    this.#byImage.set(image, names.set(key, name));
  }

  deleteTag(repository: string, tag: string): void {
    this.#drop(`0 ${repository} ${tag}`);
  }

  deleteDigest(repository: string, manifest: Digest): void {
    this.#drop(`1 ${repository} ${manifest}`);
  }

  #drop(key: string): void {
    const image = this.#imageOf.get(key);
    if (image === undefined) return;
    this.#imageOf.delete(key);
    const names = this.#byImage.get(image);
    names?.delete(key);
    if (names?.size === 0) this.#byImage.delete(image);
  }
}

function keyOf(name: NameOfImage): string {
  return name.kind === 'tag' ? `0 ${name.repository} ${name.tag}` : `1 ${name.repository} ${name.manifest}`;
}

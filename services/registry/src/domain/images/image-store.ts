import { invalidArgument, notFound } from '@atoll/errors';
import { type Descriptor, type ImageManifest, isImageConfigType, parseManifest } from '@atoll/oci';
import {
  type Digest,
  familiarName,
  familiarString,
  type ImageReference,
  parseReference,
  repositoryOf,
} from '@atoll/reference';
import { type BlobStore, storeBytes } from '../blobs/blob-store.ts';
import { type Documents, digestOf } from '../manifests/documents.ts';
import type { Liveness } from '../manifests/liveness.ts';
import type { NameOfImage } from '../records/image-references.ts';
import type { Names } from '../records/names.ts';
import type { ImageEvents } from './image-events.ts';
import { type ImageView, layersOf } from './image-view.ts';
import { ImageViews } from './image-views.ts';

export interface ImageStoreOptions {
  readonly blobs: BlobStore;
  readonly names: Names;
  readonly documents: Documents;
  readonly liveness: Liveness;
  readonly events: ImageEvents;
}

/** The images of the cluster: Docker's image store on top of blobs and names. */
export class ImageStore {
  readonly #options: ImageStoreOptions;
  readonly #views: ImageViews;

  constructor(options: ImageStoreOptions) {
    this.#options = options;
    this.#views = new ImageViews(options.documents);
  }

  /** Errors: not-found. */
  async get(id: Digest): Promise<ImageView> {
    const record = await this.#options.names.image(id);
    if (record === undefined) throw notFound(`No such image: ${id}`);
    return await this.#views.get(id, record);
  }

  /** All images; one whose files are damaged is told to `onDamage` and left out. */
  async list(onDamage: (error: unknown) => void): Promise<ImageView[]> {
    const views: ImageView[] = [];
    for (const [id, record] of [...this.#options.names.images]) {
      const view = await this.#views.get(id, record).catch(onDamage);
      if (view !== undefined) views.push(view);
    }
    return views;
  }

  /** Ids of all images whose id starts with these hex digits. */
  startingWith(prefix: string): Digest[] {
    return [...this.#options.names.images.keys()].filter((id) => id.startsWith(`sha256:${prefix}`));
  }

  references(id: Digest): readonly NameOfImage[] {
    return this.#options.names.references.of(id);
  }

  /** Images built directly on this one. */
  children(id: Digest): Digest[] {
    return [...this.#options.names.images].filter(([, record]) => record.parent === id).map(([child]) => child);
  }

  /**
   * Makes an image of blobs that are in the store; durable when it resolves. An image that exists stays as it is.
   * Errors: invalid-argument (no image, layers and config disagree), not-found (a blob is missing).
   */
  async register(manifestBytes: Uint8Array, parent?: Digest): Promise<ImageView> {
    const { blobs, names, documents, liveness } = this.#options;
    const manifest = parseManifest(manifestBytes);
    if (manifest.kind !== 'manifest' || !isImageConfigType(manifest.config.mediaType)) {
      throw invalidArgument('the manifest is not that of an image');
    }
    const digest = digestOf(manifestBytes);
    using _hold = liveness.hold([digest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)]);
    await this.#requireBlobs(manifest);
    layersOf(manifest, await documents.config(manifest.config.digest));
    if ((await blobs.touch(digest)) === undefined) await storeBytes(blobs, manifestBytes, digest);
    const id = manifest.config.digest;
    await names.putImage(id, { manifest: digest, mediaType: manifest.mediaType, parent, at: Date.now() });
    return await this.get(id);
  }

  /** Points a tag to an image; durable when it resolves. Answers the id of the image that had the tag before, if another. */
  async tag(image: ImageView, reference: ImageReference): Promise<Digest | undefined> {
    const { names, events } = this.#options;
    const { manifest: digest, mediaType } = image.record;
    const size = (await this.#options.documents.bytes(digest)).byteLength;
    const tag = reference.tag ?? 'latest';
    const record = { digest, mediaType, size, image: image.id, at: Date.now() };
    const before = await names.putTag(repositoryOf(reference), tag, record);
    events.publish({
      action: 'tag',
      actor: image.id,
      attributes: { name: familiarString({ ...reference, tag, digest: undefined }), ...image.config.config.Labels },
    });
    return before?.image === image.id ? undefined : before?.image;
  }

  /** Remembers that a repository somewhere calls the image by this digest (Docker's RepoDigests). */
  async nameByDigest(
    image: ImageView,
    reference: ImageReference,
    found: { digest: Digest; mediaType: string; size: number },
  ) {
    const { digest, mediaType, size } = found;
    const record = { mediaType, size, image: image.id, at: Date.now() };
    await this.#options.names.linkManifest(repositoryOf(reference), digest, record);
  }

  /** Removes one name of an image. */
  async untag(id: Digest, name: NameOfImage): Promise<void> {
    const { names, events } = this.#options;
    const key =
      name.kind === 'tag'
        ? ({ kind: 'tag', repository: name.repository, tag: name.tag } as const)
        : ({ kind: 'manifest', repository: name.repository, digest: name.manifest } as const);
    await names.remove(key, name.manifest);
    events.publish({ action: 'untag', actor: id, attributes: { name: id } });
  }

  /** Forgets an image that has no name any more; its blobs are the collector's. */
  async delete(id: Digest): Promise<void> {
    await this.#options.names.remove({ kind: 'image', id });
    this.#options.events.publish({ action: 'delete', actor: id, attributes: { name: id } });
  }

  async #requireBlobs(manifest: ImageManifest): Promise<void> {
    const need = async ({ digest, size }: Descriptor): Promise<void> => {
      const found = await this.#options.blobs.touch(digest);
      if (found === undefined) throw notFound(`the blob ${digest} of the image is not in the store; write it first`);
      if (found.size !== size) {
        throw invalidArgument(`the blob ${digest} has ${found.size} bytes, the manifest says ${size}`);
      }
    };
    for (const descriptor of [manifest.config, ...manifest.layers]) await need(descriptor);
  }
}

/** `busybox:latest` or `busybox@sha256:…`. */
export function familiarNameOf(name: NameOfImage): string {
  const repository = familiarName(parseReference(name.repository));
  return name.kind === 'tag' ? `${repository}:${name.tag}` : `${repository}@${name.manifest}`;
}

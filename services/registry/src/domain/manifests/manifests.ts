import { invalidArgument, notFound } from '@atoll/errors';
import { type Descriptor, type Manifest, type Platform, parseManifest, platformScore, referencesOf } from '@atoll/oci';
import type { Digest } from '@atoll/reference';
import type { BlobStore } from '../blobs/blob-store.ts';
import { storeBytes } from '../blobs/blob-store.ts';
import type { Names } from '../records/names.ts';
import type { ManifestRecord } from '../records/records.ts';
import { type Documents, digestOf } from './documents.ts';
import { imageOf } from './image-of.ts';
import type { Liveness } from './liveness.ts';
import { RepositoryReferences } from './repository-references.ts';

/** Which manifest of a repository: by tag or by digest. */
export type ManifestReference = { readonly tag: string } | { readonly digest: Digest };

export interface FoundManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
}

export interface PutManifest {
  readonly repository: string;
  readonly reference: ManifestReference;
  readonly contentType: string | undefined;
  readonly bytes: Uint8Array;
}

export interface StoredManifest {
  readonly digest: Digest;
  readonly subject: Digest | undefined;
  /** Id of the image it means here, if it is one. */
  readonly image: Digest | undefined;
}

export interface ManifestsOptions {
  readonly blobs: BlobStore;
  readonly names: Names;
  readonly documents: Documents;
  readonly liveness: Liveness;
  /** The cluster's platform: which image an index means. */
  readonly platform: Platform;
}

/** The manifests of repositories, as the OCI distribution specification serves them. */
export class Manifests {
  readonly #options: ManifestsOptions;
  readonly #references: RepositoryReferences;

  constructor(options: ManifestsOptions) {
    this.#options = options;
    this.#references = new RepositoryReferences(options.names, options.documents);
  }

  /** A manifest the repository holds or a tag of it points to. Errors: not-found. */
  async find(repository: string, reference: ManifestReference): Promise<FoundManifest> {
    const { names } = this.#options;
    if ('tag' in reference) {
      const record = await names.tag(repository, reference.tag);
      if (record !== undefined) return record;
      throw unknownManifest(repository, reference.tag);
    }
    const { digest } = reference;
    const record = await names.manifest(repository, digest);
    if (record !== undefined) return { digest, ...record };
    for (const tag of names.repository(repository).tags.values()) if (tag.digest === digest) return tag;
    throw unknownManifest(repository, digest);
  }

  /**
   * Stores a manifest exactly as given and names it; durable when it resolves. Everything it refers to has to be there.
   * Errors: invalid-argument (MANIFEST_INVALID, DIGEST_INVALID), not-found (MANIFEST_BLOB_UNKNOWN), resource-exhausted.
   */
  async put({ repository, reference, contentType, bytes }: PutManifest): Promise<StoredManifest> {
    const { blobs, names, liveness } = this.#options;
    const digest = digestOf(bytes);
    if ('digest' in reference && reference.digest !== digest) {
      throw invalidArgument(`the manifest has the digest ${digest}, not ${reference.digest}`, {
        details: { oci: 'DIGEST_INVALID' },
      });
    }
    const manifest = parseManifest(bytes, contentType);
    using _hold = liveness.hold([digest, ...referencesOf(manifest).map((descriptor) => descriptor.digest)]);
    await this.#requireReferences(repository, manifest);
    if ((await blobs.touch(digest)) === undefined) await storeBytes(blobs, bytes, digest);
    const image = await this.#imageOf(digest, manifest, 'tag' in reference);
    const at = Date.now();
    const record = describe(manifest, bytes.byteLength, image?.id, at);
    await Promise.all([
      names.linkManifest(repository, digest, record),
      image !== undefined &&
        names.putImage(image.id, { manifest: image.manifest, mediaType: image.mediaType, at, parent: undefined }),
    ]);
    if ('tag' in reference) {
      const { mediaType } = manifest;
      await names.putTag(repository, reference.tag, {
        digest,
        mediaType,
        size: bytes.byteLength,
        image: image?.id,
        at,
      });
    }
    return { digest, subject: manifest.subject?.digest, image: image?.id };
  }

  /** Removes a tag, or a manifest with all tags that point to it. Errors: not-found. */
  async remove(repository: string, reference: ManifestReference): Promise<void> {
    const { names } = this.#options;
    if ('tag' in reference) {
      const removed = await names.remove({ kind: 'tag', repository, tag: reference.tag });
      if (!removed) throw unknownManifest(repository, reference.tag);
      return;
    }
    const { digest } = await this.find(repository, reference);
    for (const [tag, record] of names.repository(repository).tags) {
      if (record.digest === digest) await names.remove({ kind: 'tag', repository, tag }, digest);
    }
    await names.remove({ kind: 'manifest', repository, digest });
  }

  async #requireReferences(repository: string, manifest: Manifest): Promise<void> {
    const unique = new Map(referencesOf(manifest).map((descriptor) => [descriptor.digest, descriptor]));
    await Promise.all([...unique.values()].map((descriptor) => this.#require(repository, manifest.kind, descriptor)));
  }

  async #require(repository: string, kind: Manifest['kind'], { digest, urls }: Descriptor): Promise<void> {
    // Layers that name addresses to fetch them from need not be here (OCI descriptor.md, urls).
    if ((urls?.length ?? 0) > 0) return;
    const { blobs, names } = this.#options;
    const known =
      kind === 'index'
        ? (await names.manifest(repository, digest)) !== undefined
        : await this.mayRead(repository, digest);
    if (known && (await blobs.touch(digest)) !== undefined) return;
    throw notFound(
      `the manifest refers to the ${kind === 'index' ? 'manifest' : 'blob'} ${digest}, which ${repository} does not have; push it first`,
      { details: { oci: 'MANIFEST_BLOB_UNKNOWN' } },
    );
  }

  /** Whether the repository may read the blob: it was uploaded or mounted there, or an image of the repository has it. */
  async mayRead(repository: string, digest: Digest): Promise<boolean> {
    const { names } = this.#options;
    if ((await names.blob(repository, digest)) !== undefined) return true;
    return await this.#references.has(repository, digest);
  }

  async #imageOf(digest: Digest, manifest: Manifest, tagged: boolean) {
    const { documents, platform } = this.#options;
    const located = await imageOf(documents, digest, manifest, platform);
    if (located === undefined) return undefined;
    const id = located.manifest.config.digest;
    const config = await documents.config(id).catch((cause) => {
      throw invalidArgument('the manifest names a config that is no image config', { cause });
    });
    if (!tagged && platformScore(platform, config) === 0) return undefined;
    return { id, manifest: located.digest, mediaType: located.manifest.mediaType };
  }
}

function describe(manifest: Manifest, size: number, image: Digest | undefined, at: number): ManifestRecord {
  const config = manifest.kind === 'manifest' ? manifest.config.mediaType : undefined;
  return {
    mediaType: manifest.mediaType,
    size,
    image,
    artifactType: manifest.artifactType ?? (manifest.subject === undefined ? undefined : config),
    subject: manifest.subject?.digest,
    annotations: manifest.subject === undefined ? undefined : manifest.annotations,
    at,
  };
}

function unknownManifest(repository: string, reference: string) {
  return notFound(`${repository} has no manifest ${reference}`, { details: { oci: 'MANIFEST_UNKNOWN' } });
}

import { notFound } from '@atoll/errors';
import type { Descriptor } from '@atoll/oci';
import { type Digest, type ImageReference, isDigest, parseReference, repositoryOf } from '@atoll/reference';
import type { BlobStore } from '../blobs/blob-store.ts';
import type { Documents } from '../manifests/documents.ts';
import type { Manifests } from '../manifests/manifests.ts';
import type { Names } from '../records/names.ts';
import type {
  RegistryCredentials,
  RemoteManifest,
  RemoteRegistries,
  RemoteSource,
  RemoteTarget,
} from './remote-repository.ts';

export interface OwnRegistriesOptions {
  /** Names under which clients reach this cluster's registry, `localhost:5000`. */
  readonly domains: readonly string[];
  readonly others: RemoteRegistries;
  readonly manifests: Manifests;
  readonly documents: Documents;
  readonly blobs: BlobStore;
  readonly names: Names;
}

/** References to the cluster's own registry mean its own store; no byte goes over the network for them. */
export class OwnRegistries implements RemoteRegistries {
  readonly #options: OwnRegistriesOptions;

  constructor(options: OwnRegistriesOptions) {
    this.#options = options;
  }

  async open(
    reference: ImageReference,
    access: 'pull' | 'push',
    credentials: RegistryCredentials | undefined,
    signal: AbortSignal,
  ): Promise<RemoteSource & RemoteTarget> {
    const { domains, others } = this.#options;
    if (!domains.includes(reference.domain)) return await others.open(reference, access, credentials, signal);
    return new OwnRepository(repositoryOf(parseReference(reference.path)), this.#options);
  }
}

class OwnRepository implements RemoteSource, RemoteTarget {
  readonly #repository: string;
  readonly #options: OwnRegistriesOptions;

  constructor(repository: string, options: OwnRegistriesOptions) {
    this.#repository = repository;
    this.#options = options;
  }

  async manifest(reference: string): Promise<RemoteManifest> {
    const wanted = isDigest(reference) ? { digest: reference } : { tag: reference };
    const { digest, mediaType } = await this.#options.manifests.find(this.#repository, wanted);
    return { digest, mediaType, bytes: await this.#options.documents.bytes(digest) };
  }

  async blob(digest: Digest, offset: number) {
    const info = await this.#options.blobs.stat(digest);
    if (info === undefined) throw notFound(`no such blob: ${digest}`);
    const { stream } = await this.#options.blobs.open(digest, { start: offset, end: Math.max(offset, info.size - 1) });
    return { offset, bytes: stream as AsyncIterable<Uint8Array> };
  }

  async tags(): Promise<string[]> {
    return [...this.#options.names.repository(this.#repository).tags.keys()].sort();
  }

  async hasBlob(digest: Digest): Promise<boolean> {
    const info = await this.#options.blobs.touch(digest);
    if (info === undefined) return false;
    await this.#options.names.linkBlob(this.#repository, digest, { size: info.size });
    return true;
  }

  async mount(): Promise<boolean> {
    return false;
  }

  async upload(blob: Descriptor): Promise<void> {
    if (!(await this.hasBlob(blob.digest))) throw notFound(`no such blob: ${blob.digest}`);
  }

  async putManifest(tag: string, { bytes, mediaType }: RemoteManifest): Promise<void> {
    await this.#options.manifests.put({
      repository: this.#repository,
      reference: { tag },
      contentType: mediaType,
      bytes,
    });
  }
}

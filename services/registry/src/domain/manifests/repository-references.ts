import { referencesOf } from '@atoll/oci';
import type { Digest } from '@atoll/reference';
import type { Names } from '../records/names.ts';
import type { Documents } from './documents.ts';

const REPOSITORIES = 256;

interface Known {
  readonly version: number;
  readonly blobs: ReadonlySet<Digest>;
}

/** Which blobs the manifests of a repository refer to; worked out anew whenever the repository has changed. */
export class RepositoryReferences {
  readonly #names: Names;
  readonly #documents: Documents;
  readonly #known = new Map<string, Known>();

  constructor(names: Names, documents: Documents) {
    this.#names = names;
    this.#documents = documents;
  }

  async has(repository: string, digest: Digest): Promise<boolean> {
    const { version } = this.#names.repository(repository);
    const known = this.#known.get(repository);
    if (known?.version === version) return known.blobs.has(digest);
    const blobs = await this.#collect(repository);
    this.#known.delete(repository);
    this.#known.set(repository, { version, blobs });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= REPOSITORIES) break;
      this.#known.delete(oldest);
    }
    return blobs.has(digest);
  }

  async #collect(repository: string): Promise<Set<Digest>> {
    const { tags, manifests } = this.#names.repository(repository);
    const digests = new Set([...manifests.keys(), ...[...tags.values()].map((tag) => tag.digest)]);
    const blobs = new Set<Digest>();
    for (const digest of digests) {
      const manifest = await this.#documents.manifest(digest).catch(() => undefined);
      if (manifest?.kind !== 'manifest') continue;
      for (const descriptor of referencesOf(manifest)) blobs.add(descriptor.digest);
    }
    return blobs;
  }
}

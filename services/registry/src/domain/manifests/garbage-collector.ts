import { hasReason } from '@atoll/errors';
import { referencesOf } from '@atoll/oci';
import type { Digest } from '@atoll/reference';
import type { BlobStore } from '../blobs/blob-store.ts';
import type { Names } from '../records/names.ts';
import type { Documents } from './documents.ts';
import type { Liveness } from './liveness.ts';

export interface GarbageCollectorOptions {
  readonly blobs: BlobStore;
  readonly names: Names;
  readonly documents: Documents;
  readonly liveness: Liveness;
  /** How long a blob nobody names is kept after it was last written, mounted or asked for by a pusher, milliseconds. */
  readonly graceMs: number;
  readonly uploadAgeMs: number;
  /** Whether the names in memory are those of this store, all of them. */
  readonly trusted: () => Promise<boolean>;
}

export interface Collected {
  readonly blobs: number;
  readonly bytes: number;
  readonly uploads: number;
}

interface Marks {
  readonly marked: Set<Digest>;
  readonly visited: Set<Digest>;
}

const NOTHING: Collected = { blobs: 0, bytes: 0, uploads: 0 };
/** Deletions are remembered this long, so that every registry has heard of them. */
const TOMBSTONE_AGE_MS = 24 * 60 * 60_000;

/**
 * Deletes blobs that no image, tag or manifest of a repository leads to. Pushes go on meanwhile: what they name is held
 * (Liveness) and what they were told exists is young. Never trusts an absence it cannot explain.
 */
export class GarbageCollector {
  readonly #options: GarbageCollectorOptions;
  #running: Promise<Collected> | undefined;

  constructor(options: GarbageCollectorOptions) {
    this.#options = options;
  }

  /** One collection at a time; a call during one gets that one's result. Errors: those of stores, data-loss. */
  async collect(signal: AbortSignal): Promise<Collected> {
    this.#running ??= this.#collect(signal).finally(() => {
      this.#running = undefined;
    });
    return await this.#running;
  }

  async #collect(signal: AbortSignal): Promise<Collected> {
    const { blobs, liveness, names, graceMs, uploadAgeMs, trusted } = this.#options;
    const uploads = await blobs.purgeUploads(uploadAgeMs);
    if (!(await trusted())) return { ...NOTHING, uploads };
    using run = liveness.begin();
    const marked = await this.#mark(signal);
    let [count, bytes] = [0, 0];
    const gone = new Set<Digest>();
    for await (const { digest, size } of blobs.list()) {
      signal.throwIfAborted();
      if (marked.has(digest)) continue;
      if (!blobs.remove(digest, graceMs, () => !run.isHeld(digest))) continue;
      gone.add(digest);
      count += 1;
      bytes += size;
    }
    await this.#unlink(gone, signal);
    await names.compact(TOMBSTONE_AGE_MS);
    return { blobs: count, bytes, uploads };
  }

  async #mark(signal: AbortSignal): Promise<Set<Digest>> {
    const { names } = this.#options;
    const marked = new Set<Digest>();
    const visited = new Set<Digest>();
    for (const [id, record] of [...names.images]) {
      marked.add(id);
      await this.#markManifest(record.manifest, { marked, visited }, signal);
    }
    for (const name of [...names.repositories()]) {
      const { tags, manifests } = names.repository(name);
      const roots = [...manifests.keys(), ...[...tags.values()].map((tag) => tag.digest)];
      for (const digest of roots) await this.#markManifest(digest, { marked, visited }, signal);
    }
    return marked;
  }

  /**
   * Follows indexes. What was visited as a manifest is kept apart from what is marked, which a manifest may list as a mere
   * layer; it also ends loops. A damaged manifest stops the collection: what it needs is
   * unknown.
   */
  async #markManifest(root: Digest, { marked, visited }: Marks, signal: AbortSignal): Promise<void> {
    const queue = [root];
    for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
      signal.throwIfAborted();
      if (visited.has(digest)) continue;
      visited.add(digest);
      marked.add(digest);
      const manifest = await this.#options.documents.manifest(digest).catch((error) => {
        if (hasReason(error, 'not-found')) return undefined;
        throw error;
      });
      if (manifest === undefined) continue;
      const references = referencesOf(manifest).map((descriptor) => descriptor.digest);
      if (manifest.kind === 'index') queue.push(...references);
      else for (const reference of references) marked.add(reference);
    }
  }

  async #unlink(gone: ReadonlySet<Digest>, signal: AbortSignal): Promise<void> {
    const { names, blobs } = this.#options;
    if (gone.size === 0) return;
    for (const { repository, digest } of [...names.blobLinks()]) {
      signal.throwIfAborted();
      if (!gone.has(digest) || (await blobs.stat(digest)) !== undefined) continue;
      await names.remove({ kind: 'blob', repository, digest });
    }
  }
}

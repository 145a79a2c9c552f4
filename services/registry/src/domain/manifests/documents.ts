import { createHash } from 'node:crypto';
import type { Cache } from '@atoll/cache';
import { dataLoss } from '@atoll/errors';
import { DOCUMENT_LIMITS, type ImageConfig, type Manifest, parseImageConfig, parseManifest } from '@atoll/oci';
import { type Digest, sha256Digest } from '@atoll/reference';
import type { BlobReader } from '../blobs/blob-store.ts';

const TTL_MS = 60 * 60_000;
/** Parsed manifests kept in memory, and the largest that is. */
const PARSED_MAX = 2_048;
const PARSED_MAX_BYTES = 64 * 1024;

/** Manifests and configs by digest: small, immutable, read over and over. What a cache says counts only when its hash is right. */
export class Documents {
  readonly #blobs: BlobReader;
  readonly #cache: Cache;
  readonly #parsed = new Map<Digest, Manifest>();

  constructor(blobs: BlobReader, cache: Cache) {
    this.#blobs = blobs;
    this.#cache = cache;
  }

  /** Errors: not-found, data-loss (the stored bytes are not what they were). */
  async bytes(digest: Digest): Promise<Uint8Array> {
    const key = `document:${digest}`;
    const cached = await this.#cache.get(key);
    if (cached !== undefined && digestOf(cached) === digest) return cached;
    const bytes = await this.#blobs.read(digest, DOCUMENT_LIMITS.maxBytes);
    if (digestOf(bytes) !== digest) {
      throw dataLoss(`the stored blob ${digest} is damaged; push or pull its image again`);
    }
    await this.#cache.set(key, bytes, TTL_MS);
    return bytes;
  }

  /** Errors: those of bytes(), invalid-argument. */
  async manifest(digest: Digest): Promise<Manifest> {
    const known = this.#parsed.get(digest);
    if (known !== undefined) return known;
    const bytes = await this.bytes(digest);
    const manifest = parseManifest(bytes);
    if (bytes.byteLength <= PARSED_MAX_BYTES) this.#parsed.set(digest, manifest);
    for (const oldest of this.#parsed.keys()) {
      if (this.#parsed.size <= PARSED_MAX) break;
      this.#parsed.delete(oldest);
    }
    return manifest;
  }

  async config(digest: Digest): Promise<ImageConfig> {
    return parseImageConfig(await this.bytes(digest));
  }
}

export function digestOf(bytes: Uint8Array): Digest {
  return sha256Digest(createHash('sha256').update(bytes).digest('hex'));
}

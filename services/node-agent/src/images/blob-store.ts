import type { Digest } from '@atoll/reference';

/** Blobs by digest, somewhere else. */
export interface BlobReader {
  /** The bytes of a blob, unchecked. Throws not-found. */
  read(digest: Digest, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

export interface StoredBlob {
  readonly digest: Digest;
  readonly size: number;
}

export interface BlobWriter {
  /** Stores a blob; durable when it resolves. */
  write(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<StoredBlob>;
}

import type { Readable } from 'node:stream';
import type { Digest } from '@atoll/reference';

export interface BlobInfo {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** First and last byte, both included. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Reads content by digest. A blob is complete or not there. */
export interface BlobReader {
  stat(digest: Digest): Promise<BlobInfo | undefined>;
  /** The bytes, of a range when one is given. Errors: not-found. */
  open(digest: Digest, range?: ByteRange): Promise<{ readonly size: number; readonly stream: Readable }>;
  /**
   * Gives the bytes piece by piece to `use`, which is done with a piece when its promise resolves: pieces share memory.
   * Errors: not-found, those of `use`.
   */
  copy(digest: Digest, range: ByteRange | undefined, use: (piece: Uint8Array) => Promise<void>): Promise<void>;
  /** A small blob at once. Errors: not-found, resource-exhausted when it has more than `maxBytes`. */
  read(digest: Digest, maxBytes: number): Promise<Buffer>;
}

/** An upload session: bytes that are not yet a blob. */
export interface Upload {
  readonly id: string;
  /** Bytes received and kept. */
  readonly size: number;
  /**
   * Appends bytes; what had arrived when the source failed stays, so that the sender can go on from `size`.
   * Errors: conflict (another append runs), resource-exhausted (size limit, disk full), the source's own.
   */
  append(source: AsyncIterable<Uint8Array>): Promise<void>;
  /**
   * Makes the bytes a blob; it survives a power cut when this resolves. The session is over, also after invalid-argument
   * (the bytes are not those of `expected`).
   */
  commit(expected?: Digest): Promise<BlobInfo>;
  /** Forgets the session and its bytes. */
  abort(): Promise<void>;
}

/** Takes content in. */
export interface BlobWriter {
  /** A new session of `owner` (a repository, or '' for the service itself). Errors: resource-exhausted (disk full). */
  begin(owner: string): Promise<Upload>;
  /** A session begun before, by this or an earlier process. Errors: not-found, also for other owners. */
  resume(id: string, owner: string): Promise<Upload>;
}

/** Lets the collector and those who name blobs work at once. */
export interface BlobKeeper {
  /** Whether the blob is there; when it is, the collector leaves it for at least its grace time from now on. */
  touch(digest: Digest): Promise<BlobInfo | undefined>;
  list(): AsyncIterable<BlobInfo>;
  /** Deletes the blob if it was last touched at least `ageMs` ago and `allowed` still says so. Answers whether it did. */
  remove(digest: Digest, ageMs: number, allowed: () => boolean): boolean;
  /** Deletes sessions nobody wrote to for `ageMs`. Answers how many. */
  purgeUploads(ageMs: number): Promise<number>;
}

export interface BlobStore extends BlobReader, BlobWriter, BlobKeeper {}

/** Stores bytes given at once. */
export async function storeBytes(blobs: BlobWriter, bytes: Uint8Array, expected?: Digest): Promise<BlobInfo> {
  const upload = await blobs.begin('');
  try {
    await upload.append(one(bytes));
    return await upload.commit(expected);
  } catch (error) {
    await upload.abort();
    throw error;
  }
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

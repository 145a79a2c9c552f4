import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { conflict, invalidArgument, notFound, resourceExhausted } from '@atoll/errors';
import { type Digest, sha256Digest } from '@atoll/reference';
import type { BlobInfo, Upload } from '../../domain/blobs/blob-store.ts';
import { type BlobLayout, explainDiskError, isMissing, syncFolder } from './blob-layout.ts';
import { Writeback } from './writeback.ts';

/** Bytes gathered before they are written: fewer system calls, bounded memory. */
const BATCH_BYTES = 512 * 1024;
/** A blob written less than this ago counts as new without touching it. */
const FRESH_MS = 1_000;

export interface FsUploadOptions {
  readonly id: string;
  readonly path: string;
  readonly layout: BlobLayout;
  readonly maxBytes: number;
  readonly onClosed: () => void;
}

/** A session whose bytes are a file; the hash grows with it and is computed anew from the file after a restart. */
export class FsUpload implements Upload {
  readonly #options: FsUploadOptions;
  readonly #hash: Hash;
  #size: number;
  #busy = false;
  /** A write failed: the file may have bytes beyond `size`. */
  #torn = false;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #closed = false;
  #usedAt = performance.now();

  private constructor(options: FsUploadOptions, hash: Hash, size: number) {
    this.#options = options;
    this.#hash = hash;
    this.#size = size;
  }

  static async create(options: FsUploadOptions): Promise<FsUpload> {
    const file = await open(options.path, 'wx', 0o600);
    await file.close();
    return new FsUpload(options, createHash('sha256'), 0);
  }

  /** Errors: ENOENT of the file system when there is no such session. */
  static async reopen(options: FsUploadOptions): Promise<FsUpload> {
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of createReadStream(options.path, { highWaterMark: BATCH_BYTES })) {
      hash.update(chunk as Buffer);
      size += (chunk as Buffer).length;
    }
    return new FsUpload(options, hash, size);
  }

  get id(): string {
    return this.#options.id;
  }

  get size(): number {
    return this.#size;
  }

  get busy(): boolean {
    return this.#busy;
  }

  /** Milliseconds since the session was last asked for or written to. */
  get idleMs(): number {
    return this.#busy ? 0 : performance.now() - this.#usedAt;
  }

  use(): this {
    this.#usedAt = performance.now();
    return this;
  }

  async append(source: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#exclusive(async () => {
      const file = await open(this.#options.path, 'r+').catch((error) => this.#gone(error));
      try {
        await this.#drain(source, file);
      } catch (error) {
        throw explainDiskError(error, this.#options.layout.root);
      } finally {
        await file.close();
      }
    });
  }

  async commit(expected?: Digest): Promise<BlobInfo> {
    return await this.#exclusive(async () => {
      const digest = sha256Digest(this.#hash.copy().digest('hex'));
      if (expected !== undefined && digest !== expected) {
        await this.#forget();
        throw invalidArgument(`the uploaded bytes have the digest ${digest}, not ${expected}`, {
          details: { oci: 'DIGEST_INVALID' },
        });
      }
      try {
        await this.#publish(digest);
      } catch (error) {
        // After a failed fsync a second one may answer success for bytes that are lost: the session ends.
        await this.#forget();
        throw explainDiskError(error, this.#options.layout.root);
      }
      this.#close();
      return { digest, size: this.#size };
    });
  }

  async abort(): Promise<void> {
    if (!this.#closed) await this.#forget();
  }

  async #drain(source: AsyncIterable<Uint8Array>, file: FileHandle): Promise<void> {
    const writeback = new Writeback(file);
    let batch: Uint8Array[] = [];
    let bytes = 0;
    const flush = async (): Promise<void> => {
      if (bytes === 0) return;
      const [chunks, length] = [batch, bytes];
      batch = [];
      bytes = 0;
      await writeAll(file, chunks, length, this.#size).catch((error) => {
        this.#torn = true;
        throw error;
      });
      this.#writtenAt = performance.now();
      for (const chunk of chunks) this.#hash.update(chunk);
      this.#size += length;
      writeback.wrote(length);
    };
    try {
      for await (const chunk of source) {
        if (this.#size + bytes + chunk.byteLength > this.#options.maxBytes) {
          throw resourceExhausted(`a blob may have at most ${this.#options.maxBytes} bytes`, {
            details: { oci: 'SIZE_INVALID' },
          });
        }
        batch.push(chunk);
        bytes += chunk.byteLength;
        if (bytes >= BATCH_BYTES) await flush();
      }
    } finally {
      await flush();
      await writeback.settle().catch(async (error) => {
        await this.#forget();
        throw error;
      });
    }
  }

  async #publish(digest: Digest): Promise<void> {
    const { layout, path } = this.#options;
    const file = await open(path, 'r+').catch((error) => this.#gone(error));
    try {
      if (this.#torn) await file.truncate(this.#size);
      await file.sync();
      const now = new Date();
      if (performance.now() - this.#writtenAt > FRESH_MS) await file.utimes(now, now);
    } finally {
      await file.close();
    }
    const folder = await layout.ensureFolder(digest);
    // The purge of old uploads may have taken it until this very moment.
    await rename(path, layout.pathOf(digest)).catch((error) => this.#gone(error));
    await syncFolder(folder);
  }

  async #exclusive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw this.#unknown();
    if (this.#busy) throw conflict(`the upload ${this.id} is being written to by another request`);
    this.#busy = true;
    try {
      return await work();
    } finally {
      this.#busy = false;
      this.use();
    }
  }

  async #forget(): Promise<void> {
    this.#close();
    await unlink(this.#options.path).catch((error) => {
      if (!isMissing(error)) throw error;
    });
  }

  #close(): void {
    this.#closed = true;
    this.#options.onClosed();
  }

  #gone(error: unknown): never {
    if (!isMissing(error)) throw error;
    this.#close();
    throw this.#unknown();
  }

  #unknown() {
    return notFound(`no such upload: ${this.id}`, { details: { oci: 'BLOB_UPLOAD_UNKNOWN' } });
  }
}

async function writeAll(file: FileHandle, chunks: Uint8Array[], length: number, position: number): Promise<void> {
  const { bytesWritten } = await file.writev(chunks, position);
  if (bytesWritten === length) return;
  const rest = Buffer.concat(chunks).subarray(bytesWritten);
  for (let done = 0; done < rest.length; ) {
    const at = position + bytesWritten + done;
    done += (await file.write(rest, done, rest.length - done, at)).bytesWritten;
  }
}

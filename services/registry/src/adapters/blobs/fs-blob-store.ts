import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, statSync, unlinkSync } from 'node:fs';
import { mkdir, open, opendir, stat, statfs, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { notFound, resourceExhausted } from '@atoll/errors';
import { type Digest, isDigest } from '@atoll/reference';
import type { BlobInfo, BlobStore, ByteRange, Upload } from '../../domain/blobs/blob-store.ts';
import { BlobLayout, explainDiskError, isMissing, syncFolder } from './blob-layout.ts';
import { copyFile } from './copy-file.ts';
import { FsUpload, type FsUploadOptions } from './fs-upload.ts';

export interface FsBlobStoreOptions {
  readonly root: string;
  /** Largest blob, bytes. */
  readonly maxBlobBytes: number;
  /** Room that must be left on the disk for an upload to begin, bytes. */
  readonly minFreeBytes: number;
}

const SESSION_ID = /^[0-9a-f]{32}$/;
/** Sessions whose hash is kept in memory; the others are read again when they go on. */
const LIVE_SESSIONS = 1_024;
const IDLE_MS = 10 * 60_000;
const READ_BYTES = 512 * 1024;

/** Blobs as files. One process owns a root; a reader never sees a half-written blob. */
export class FsBlobStore implements BlobStore {
  readonly #layout: BlobLayout;
  readonly #options: FsBlobStoreOptions;
  readonly #sessions = new Map<string, Promise<FsUpload>>();

  private constructor(options: FsBlobStoreOptions) {
    this.#options = options;
    this.#layout = new BlobLayout(options.root);
  }

  static async open(options: FsBlobStoreOptions): Promise<FsBlobStore> {
    const store = new FsBlobStore(options);
    await mkdir(store.#layout.uploads, { recursive: true, mode: 0o700 });
    await mkdir(store.#layout.blobs, { recursive: true, mode: 0o700 });
    await syncFolder(store.#layout.root);
    return store;
  }

  async stat(digest: Digest): Promise<BlobInfo | undefined> {
    try {
      return { digest, size: (await stat(this.#layout.pathOf(digest))).size };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async open(digest: Digest, range?: ByteRange): Promise<{ size: number; stream: Readable }> {
    const file = await open(this.#layout.pathOf(digest), 'r').catch((error) => {
      throw isMissing(error) ? missing(digest) : error;
    });
    try {
      const { size } = await file.stat();
      const stream = createReadStream('', { fd: file, autoClose: true, highWaterMark: READ_BYTES, ...range });
      return { size, stream };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async copy(digest: Digest, range: ByteRange | undefined, use: (piece: Uint8Array) => Promise<void>): Promise<void> {
    const file = await open(this.#layout.pathOf(digest), 'r').catch((error) => {
      throw isMissing(error) ? missing(digest) : error;
    });
    try {
      const { size } = await file.stat();
      const end = Math.min(range?.end ?? size - 1, size - 1);
      await copyFile(file, range?.start ?? 0, end, use);
    } finally {
      await file.close();
    }
  }

  async read(digest: Digest, maxBytes: number): Promise<Buffer> {
    const { size, stream } = await this.open(digest);
    if (size > maxBytes) {
      stream.destroy();
      throw resourceExhausted(`the blob ${digest} has ${size} bytes, at most ${maxBytes} are read here`);
    }
    return Buffer.concat(await stream.toArray());
  }

  async begin(owner: string): Promise<Upload> {
    await this.#requireRoom();
    const id = randomBytes(16).toString('hex');
    const options = this.#session(id, owner);
    try {
      const upload = await FsUpload.create(options);
      this.#remember(options.path, Promise.resolve(upload));
      return upload;
    } catch (error) {
      throw explainDiskError(error, this.#options.root);
    }
  }

  async resume(id: string, owner: string): Promise<Upload> {
    if (!SESSION_ID.test(id)) throw unknownUpload(id);
    const options = this.#session(id, owner);
    const known = this.#sessions.get(options.path);
    if (known !== undefined) return (await known).use();
    const opening = FsUpload.reopen(options);
    this.#remember(options.path, opening);
    try {
      return await opening;
    } catch (error) {
      this.#sessions.delete(options.path);
      throw isMissing(error) ? unknownUpload(id) : error;
    }
  }

  async touch(digest: Digest): Promise<BlobInfo | undefined> {
    const now = new Date();
    try {
      await utimes(this.#layout.pathOf(digest), now, now);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    return this.stat(digest);
  }

  async *list(): AsyncGenerator<BlobInfo> {
    for await (const folder of await opendir(this.#layout.blobs)) {
      for await (const entry of await opendir(join(this.#layout.blobs, folder.name))) {
        const digest = `sha256:${entry.name}`;
        const info = isDigest(digest) ? await this.stat(digest) : undefined;
        if (info !== undefined) yield info;
      }
    }
  }

  /** Synchronous from the check to the deletion: nothing of this process can name the blob in between. */
  remove(digest: Digest, ageMs: number, allowed: () => boolean): boolean {
    const path = this.#layout.pathOf(digest);
    try {
      if (Date.now() - statSync(path).mtimeMs < ageMs || !allowed()) return false;
      unlinkSync(path);
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  async purgeUploads(ageMs: number): Promise<number> {
    let count = 0;
    for await (const entry of await opendir(this.#layout.uploads)) {
      const path = join(this.#layout.uploads, entry.name);
      const live = await this.#sessions.get(path)?.catch(() => undefined);
      if (live?.busy === true) continue;
      const info = await stat(path).catch(() => undefined);
      if (info === undefined || Date.now() - info.mtimeMs < ageMs) continue;
      await (live === undefined ? unlink(path).catch(() => undefined) : live.abort());
      count += 1;
    }
    return count;
  }

  #session(id: string, owner: string): FsUploadOptions {
    const mark = createHash('sha256').update(owner).digest('hex').slice(0, 16);
    const path = join(this.#layout.uploads, `${id}.${mark}`);
    const onClosed = (): void => void this.#sessions.delete(path);
    return { id, path, layout: this.#layout, maxBytes: this.#options.maxBlobBytes, onClosed };
  }

  #remember(path: string, session: Promise<FsUpload>): void {
    this.#sessions.set(path, session);
    if (this.#sessions.size <= LIVE_SESSIONS) return;
    void this.#dropIdle();
  }

  async #dropIdle(): Promise<void> {
    for (const [path, session] of this.#sessions) {
      if (this.#sessions.size <= LIVE_SESSIONS) return;
      const upload = await session.catch(() => undefined);
      if (upload === undefined || upload.idleMs > IDLE_MS) this.#sessions.delete(path);
    }
  }

  async #requireRoom(): Promise<void> {
    const { bavail, bsize } = await statfs(this.#layout.root);
    if (bavail * bsize >= this.#options.minFreeBytes) return;
    throw explainDiskError(Object.assign(new Error('too little room'), { code: 'ENOSPC' }), this.#options.root);
  }
}

function missing(digest: Digest) {
  return notFound(`no such blob: ${digest}`, { details: { oci: 'BLOB_UNKNOWN' } });
}

function unknownUpload(id: string) {
  return notFound(`no such upload: ${id.slice(0, 64)}`, { details: { oci: 'BLOB_UPLOAD_UNKNOWN' } });
}

import { Readable } from 'node:stream';
import { invalidArgument, notFound, resourceExhausted } from '@atoll/errors';
import { DOCUMENT_LIMITS } from '@atoll/oci';
import type { Digest } from '@atoll/reference';
import { extract, type Header } from 'tar-stream';
import { type BlobStore, storeBytes } from '../blobs/blob-store.ts';
import { digestOf } from '../manifests/documents.ts';
import { decompressed, detect } from './decompress.ts';

interface Content {
  readonly digest: Digest;
  readonly size: number;
  /** Kept in memory while small; larger ones are in the store. */
  readonly bytes: Uint8Array | undefined;
}

const MAX_ENTRIES = 100_000;
const SMALL_BYTES = 256 * 1024;
const MEMORY_BYTES = 64 * 1024 * 1024;
const MAX_LINKS = 8;

/**
 * The files of an image archive. Their names are only keys of a map: nothing is ever written to a path the archive names,
 * content is kept by its digest.
 */
export class ArchiveFiles {
  readonly #blobs: BlobStore;
  readonly #files = new Map<string, Content>();
  readonly #links = new Map<string, string>();
  readonly #byDigest = new Map<Digest, Content>();
  #inMemory = 0;

  private constructor(blobs: BlobStore) {
    this.#blobs = blobs;
  }

  /** Reads a whole tar, plain, gzip or zstd. Errors: invalid-argument, resource-exhausted. */
  static async read(source: AsyncIterable<Uint8Array>, blobs: BlobStore): Promise<ArchiveFiles> {
    const files = new ArchiveFiles(blobs);
    const { compression, bytes } = await detect(source);
    const parser = extract();
    const input = Readable.from(decompressed(bytes, compression), { objectMode: false });
    input.on('error', (error) => parser.destroy(error));
    let count = 0;
    try {
      for await (const entry of input.pipe(parser)) {
        count += 1;
        if (count > MAX_ENTRIES) throw resourceExhausted(`the archive has more than ${MAX_ENTRIES} entries`);
        await files.#take(entry.header, entry as unknown as AsyncIterable<Uint8Array>);
        entry.resume();
      }
    } catch (error) {
      if (error instanceof Error && /tar header|Unexpected end of data/i.test(error.message)) {
        throw invalidArgument(`the archive is no tar: ${error.message}`, { cause: error });
      }
      throw error;
    } finally {
      input.destroy();
    }
    return files;
  }

  has(path: string): boolean {
    return this.#find(path) !== undefined;
  }

  /** A small file. Errors: not-found, resource-exhausted. */
  async document(path: string): Promise<Uint8Array> {
    return await this.#document(this.#require(path));
  }

  async documentByDigest(digest: Digest): Promise<Uint8Array> {
    return await this.#document(this.#requireDigest(digest));
  }

  hasDigest(digest: Digest): boolean {
    return this.#byDigest.has(digest);
  }

  /** Makes a file a blob of the store. Errors: not-found. */
  async store(path: string): Promise<{ digest: Digest; size: number }> {
    return await this.#store(this.#require(path));
  }

  async storeDigest(digest: Digest): Promise<{ digest: Digest; size: number }> {
    return await this.#store(this.#requireDigest(digest));
  }

  async #take(header: Header, body: AsyncIterable<Uint8Array>): Promise<void> {
    const path = normalize(header.name);
    if (header.type === 'symlink' || header.type === 'link') {
      const target = header.linkname ?? '';
      const base = header.type === 'link' || target.startsWith('/') ? '' : path.slice(0, path.lastIndexOf('/') + 1);
      this.#links.set(path, normalize(base + target));
      return;
    }
    if (header.type !== 'file' && header.type !== 'contiguous-file') return;
    const content = await this.#content(header.size ?? 0, body);
    this.#files.set(path, content);
    this.#byDigest.set(content.digest, content);
  }

  async #content(size: number, body: AsyncIterable<Uint8Array>): Promise<Content> {
    if (size <= SMALL_BYTES && this.#inMemory + size <= MEMORY_BYTES) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      this.#inMemory += bytes.byteLength;
      return { digest: digestOf(bytes), size: bytes.byteLength, bytes };
    }
    const upload = await this.#blobs.begin('');
    try {
      await upload.append(body);
      return { ...(await upload.commit()), bytes: undefined };
    } catch (error) {
      await upload.abort();
      throw error;
    }
  }

  #find(path: string): Content | undefined {
    let at = normalize(path);
    for (let hops = 0; hops < MAX_LINKS; hops += 1) {
      const content = this.#files.get(at);
      if (content !== undefined) return content;
      const target = this.#links.get(at);
      if (target === undefined) return undefined;
      at = target;
    }
    return undefined;
  }

  #require(path: string): Content {
    const content = this.#find(path);
    if (content === undefined) throw notFound(`the archive has no file ${JSON.stringify(path.slice(0, 200))}`);
    return content;
  }

  #requireDigest(digest: Digest): Content {
    const content = this.#byDigest.get(digest);
    if (content === undefined) throw notFound(`the archive has no content with the digest ${digest}`);
    return content;
  }

  async #document(content: Content): Promise<Uint8Array> {
    return content.bytes ?? (await this.#blobs.read(content.digest, DOCUMENT_LIMITS.maxBytes));
  }

  async #store(content: Content): Promise<{ digest: Digest; size: number }> {
    if (content.bytes !== undefined) return await storeBytes(this.#blobs, content.bytes, content.digest);
    return content;
  }
}

/** One spelling a path: no `.`, no empty part, `..` taken lexically and never above the root. */
function normalize(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return parts.join('/');
}

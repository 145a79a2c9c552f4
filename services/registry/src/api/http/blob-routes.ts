import type { Digest } from '@atoll/reference';
import type { BlobStore } from '../../domain/blobs/blob-store.ts';
import type { Manifests } from '../../domain/manifests/manifests.ts';
import type { Names } from '../../domain/records/names.ts';
import { parseRange } from './byte-range.ts';
import { answer, type Exchange, send } from './exchange.ts';
import { OciError } from './oci-error.ts';
import { digestFor, repositoryFor } from './route.ts';

export interface BlobRoutesOptions {
  readonly blobs: BlobStore;
  readonly names: Names;
  readonly manifests: Manifests;
}

/** `/v2/<name>/blobs/<digest>` (OCI distribution specification, end-2 and end-10). */
export class BlobRoutes {
  readonly #options: BlobRoutesOptions;

  constructor(options: BlobRoutesOptions) {
    this.#options = options;
  }

  async handle(exchange: Exchange, name: string, reference: string): Promise<void> {
    const repository = repositoryFor(name);
    const digest = digestFor(reference);
    if (exchange.method === 'DELETE') return await this.#remove(exchange, repository, digest);
    if (exchange.method !== 'GET' && exchange.method !== 'HEAD') throw notAllowed(exchange.method);
    if (!(await this.#options.manifests.mayRead(repository, digest))) throw unknownBlob(digest);
    if (exchange.method === 'HEAD') return await this.#head(exchange, digest);
    await this.#get(exchange, digest);
  }

  /** A pusher asks whether it can leave out an upload: what it is told here is kept for the collector's grace time. */
  async #head(exchange: Exchange, digest: Digest): Promise<void> {
    const info = await this.#options.blobs.touch(digest);
    if (info === undefined) throw unknownBlob(digest);
    answer(exchange, 200, { ...headersOf(digest), 'Content-Length': info.size });
  }

  async #get(exchange: Exchange, digest: Digest): Promise<void> {
    const { request, response } = exchange;
    if (request.headers['if-none-match'] === `"${digest}"`) return answer(exchange, 304, headersOf(digest));
    const info = await this.#options.blobs.stat(digest);
    if (info === undefined) throw unknownBlob(digest);
    const range = parseRange(request.headers.range, info.size);
    if (range === 'unsatisfiable') {
      throw new OciError('SIZE_INVALID', `the blob has ${info.size} bytes`, {
        status: 416,
        headers: { 'Content-Range': `bytes */${info.size}` },
      });
    }
    const length = range === undefined ? info.size : range.end - range.start + 1;
    response.writeHead(range === undefined ? 200 : 206, {
      ...headersOf(digest),
      'Content-Length': length,
      ...(range === undefined ? {} : { 'Content-Range': `bytes ${range.start}-${range.end}/${info.size}` }),
    });
    await this.#options.blobs.copy(digest, range, (piece) => send(exchange, piece));
    response.end();
  }

  async #remove(exchange: Exchange, repository: string, digest: Digest): Promise<void> {
    const { names, manifests } = this.#options;
    const removed = await names.remove({ kind: 'blob', repository, digest });
    if (await manifests.mayRead(repository, digest)) {
      throw new OciError('UNSUPPORTED', 'a manifest of the repository needs the blob; delete the manifest first');
    }
    if (!removed) throw unknownBlob(digest);
    answer(exchange, 202);
  }
}

function headersOf(digest: Digest) {
  return {
    'Content-Type': 'application/octet-stream',
    'Docker-Content-Digest': digest,
    'Accept-Ranges': 'bytes',
    'Cache-Control': 'max-age=31536000',
    ETag: `"${digest}"`,
  };
}

function unknownBlob(digest: Digest): OciError {
  return new OciError('BLOB_UNKNOWN', `the repository has no blob ${digest}`);
}

export function notAllowed(method: string): OciError {
  return new OciError('UNSUPPORTED', `${method.slice(0, 20)} is not allowed here`);
}

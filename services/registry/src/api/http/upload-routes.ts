import { hasReason } from '@atoll/errors';
import { isDigest } from '@atoll/reference';
import type { BlobInfo, BlobStore, Upload } from '../../domain/blobs/blob-store.ts';
import type { Manifests } from '../../domain/manifests/manifests.ts';
import type { Names } from '../../domain/records/names.ts';
import { notAllowed } from './blob-routes.ts';
import { parseContentRange } from './byte-range.ts';
import { answer, type Exchange } from './exchange.ts';
import { OciError } from './oci-error.ts';
import { bodyOf } from './request-body.ts';
import { clientName, digestFor, repositoryFor } from './route.ts';

export interface UploadRoutesOptions {
  readonly blobs: BlobStore;
  readonly names: Names;
  readonly manifests: Manifests;
}

/** `/v2/<name>/blobs/uploads/…` (OCI distribution specification, end-4 to end-6, end-11, end-13). */
export class UploadRoutes {
  readonly #options: UploadRoutesOptions;

  constructor(options: UploadRoutesOptions) {
    this.#options = options;
  }

  /** POST: mounts a blob of another repository, takes a whole one, or begins a session. */
  async begin(exchange: Exchange, name: string): Promise<void> {
    const repository = repositoryFor(name);
    if (exchange.method !== 'POST') throw notAllowed(exchange.method);
    const mount = exchange.query.get('mount');
    if (mount !== null && (await this.#mount(exchange, repository, mount))) return;
    const digest = exchange.query.get('digest');
    const expected = digest === null ? undefined : digestFor(digest);
    const upload = await this.#options.blobs.begin(repository);
    if (expected === undefined) return accepted(exchange, name, upload, { status: 202 });
    try {
      await upload.append(bodyOf(exchange.request));
      await this.#finish(exchange, repository, await upload.commit(expected));
    } catch (error) {
      await upload.abort();
      throw error;
    }
  }

  async handle(exchange: Exchange, name: string, id: string): Promise<void> {
    const repository = repositoryFor(name);
    const upload = await this.#options.blobs.resume(id, repository);
    switch (exchange.method) {
      case 'GET':
      case 'HEAD':
        return accepted(exchange, name, upload, { status: 204 });
      case 'DELETE':
        await upload.abort();
        return answer(exchange, 204);
      case 'PATCH':
        await this.#append(exchange, name, upload);
        return accepted(exchange, name, upload, { status: 202 });
      case 'PUT': {
        const expected = digestFor(exchange.query.get('digest') ?? '');
        await this.#append(exchange, name, upload);
        return await this.#finish(exchange, repository, await upload.commit(expected));
      }
      default:
        throw notAllowed(exchange.method);
    }
  }

  /** A chunk has to begin where the last one ended. */
  async #append({ request }: Exchange, name: string, upload: Upload): Promise<void> {
    const stated = request.headers['content-range'];
    if (stated !== undefined) {
      const range = parseContentRange(stated);
      const length = request.headers['content-length'];
      const fits = range !== undefined && (length === undefined || Number(length) === range.end - range.start + 1);
      if (!fits || range.start !== upload.size) throw outOfOrder(name, upload);
    }
    try {
      await upload.append(bodyOf(request));
    } catch (error) {
      if (hasReason(error, 'conflict'))
        throw new OciError('BLOB_UPLOAD_INVALID', (error as Error).message, { status: 409 });
      throw error;
    }
  }

  async #finish(exchange: Exchange, repository: string, { digest, size }: BlobInfo): Promise<void> {
    await this.#options.names.linkBlob(repository, digest, { size });
    created(exchange, repository, digest);
  }

  async #mount(exchange: Exchange, repository: string, mount: string): Promise<boolean> {
    const { blobs, names, manifests } = this.#options;
    const from = exchange.query.get('from');
    if (from === null || !isDigest(mount)) return false;
    if (!(await manifests.mayRead(repositoryFor(from), mount))) return false;
    const info = await blobs.touch(mount);
    if (info === undefined) return false;
    await names.linkBlob(repository, mount, { size: info.size });
    created(exchange, repository, mount);
    return true;
  }
}

function created(exchange: Exchange, repository: string, digest: string): void {
  const headers = { Location: `/v2/${clientName(repository)}/blobs/${digest}`, 'Docker-Content-Digest': digest };
  answer(exchange, 201, headers);
}

function accepted(exchange: Exchange, name: string, upload: Upload, { status }: { status: 202 | 204 }): void {
  answer(exchange, status, sessionHeaders(name, upload));
}

function outOfOrder(name: string, upload: Upload): OciError {
  return new OciError('BLOB_UPLOAD_INVALID', `the next byte of this upload is ${upload.size}`, {
    status: 416,
    headers: sessionHeaders(name, upload),
  });
}

function sessionHeaders(name: string, upload: Upload): Record<string, string> {
  return {
    Location: `/v2/${name}/blobs/uploads/${upload.id}`,
    Range: `0-${Math.max(0, upload.size - 1)}`,
    'Docker-Upload-UUID': upload.id,
  };
}

import { invalidArgument, unavailable } from '@atoll/errors';
import { type Descriptor, DOCUMENT_LIMITS, MANIFEST_MEDIA_TYPES } from '@atoll/oci';
import { type Digest, isDigest } from '@atoll/reference';
import { z } from 'zod';
import { digestOf } from '../../domain/manifests/documents.ts';
import type { BytesFrom, RemoteManifest, RemoteSource, RemoteTarget } from '../../domain/remote/remote-repository.ts';
import type { Authenticator } from './authenticator.ts';
import { uploadBlob } from './blob-upload.ts';
import { bodyOf, type HttpRequest, readBody } from './http-client.ts';
import { remoteError } from './remote-error.ts';

const tagsSchema = z.object({ tags: z.array(z.string()).nullable() });
const MAX_TAGS = 10_000;

/** A repository of another registry over the OCI distribution protocol. */
export class HttpRepository implements RemoteSource, RemoteTarget {
  readonly #base: string;
  readonly #authenticator: Authenticator;
  readonly #signal: AbortSignal;

  /** `base` is the repository's own address, `https://host/v2/<name>`. */
  constructor(base: string, authenticator: Authenticator, signal: AbortSignal) {
    this.#base = base;
    this.#authenticator = authenticator;
    this.#signal = signal;
  }

  async manifest(reference: string): Promise<RemoteManifest> {
    const headers = { Accept: MANIFEST_MEDIA_TYPES.join(', ') };
    const response = await this.#send({ method: 'GET', url: `${this.#base}/manifests/${reference}`, headers });
    if (!response.ok) throw await remoteError(response, 'MANIFEST_UNKNOWN');
    const bytes = await readBody(response, DOCUMENT_LIMITS.maxBytes);
    const digest = digestOf(bytes);
    const expected = isDigest(reference) ? reference : response.headers.get('docker-content-digest');
    if (expected?.startsWith('sha256:') && expected !== digest) {
      throw invalidArgument(`the registry sent a manifest with the digest ${digest} for ${expected}`);
    }
    return { digest, bytes, mediaType: response.headers.get('content-type') ?? '' };
  }

  async blob(digest: Digest, offset: number): Promise<{ offset: number; bytes: AsyncIterable<Uint8Array> }> {
    const headers: Record<string, string> = offset > 0 ? { Range: `bytes=${offset}-` } : {};
    const response = await this.#send({ method: 'GET', url: `${this.#base}/blobs/${digest}`, headers });
    if (!response.ok) throw await remoteError(response, 'BLOB_UNKNOWN');
    const start = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
    return { offset: response.status === 206 && start !== undefined ? Number(start) : 0, bytes: bodyOf(response) };
  }

  async tags(): Promise<string[]> {
    const tags: string[] = [];
    for (let url: string | undefined = `${this.#base}/tags/list`; url !== undefined && tags.length < MAX_TAGS; ) {
      const response: Response = await this.#send({ method: 'GET', url, headers: {} });
      if (!response.ok) throw await remoteError(response, 'NAME_UNKNOWN');
      const body = Buffer.from(await readBody(response, DOCUMENT_LIMITS.maxBytes)).toString();
      tags.push(...(tagsSchema.parse(JSON.parse(body)).tags ?? []));
      const next = /<([^>]+)>\s*;\s*rel="?next"?/.exec(response.headers.get('link') ?? '')?.[1];
      const resolved: URL | undefined = next === undefined ? undefined : new URL(next, url);
      url = resolved?.origin === new URL(this.#base).origin ? resolved.href : undefined;
    }
    return tags;
  }

  async hasBlob(digest: Digest): Promise<boolean> {
    const response = await this.#send({ method: 'HEAD', url: `${this.#base}/blobs/${digest}`, headers: {} });
    await response.body?.cancel();
    // A refusal of HEAD has no words; the upload that follows is refused with them.
    if (response.status >= 500) throw await remoteError(response, 'BLOB_UNKNOWN');
    return response.ok;
  }

  async mount(digest: Digest, from: string): Promise<boolean> {
    const query = new URLSearchParams({ mount: digest, from });
    const response = await this.#send({ method: 'POST', url: `${this.#base}/blobs/uploads/?${query}`, headers: {} });
    await response.body?.cancel();
    if (response.status === 201) return true;
    const location = response.headers.get('location');
    if (response.status === 202 && location !== null) await this.#cancel(new URL(location, response.url).href);
    return false;
  }

  async upload(blob: Descriptor, read: BytesFrom): Promise<void> {
    await uploadBlob(this.#base, blob, read, (request, body) => this.#send(request, body));
  }

  async putManifest(reference: string, manifest: RemoteManifest): Promise<void> {
    const response = await this.#send({
      method: 'PUT',
      url: `${this.#base}/manifests/${reference}`,
      headers: { 'Content-Type': manifest.mediaType },
      body: manifest.bytes,
    });
    if (!response.ok) throw await remoteError(response, 'NAME_UNKNOWN');
    await response.body?.cancel();
    const digest = response.headers.get('docker-content-digest');
    if (digest !== null && digest !== manifest.digest) {
      throw unavailable(`the registry stored the manifest as ${digest}, it is ${manifest.digest}`);
    }
  }

  async #cancel(url: string): Promise<void> {
    const response = await this.#send({ method: 'DELETE', url, headers: {} });
    await response.body?.cancel();
  }

  #send(request: HttpRequest, body?: () => Promise<HttpRequest['body']>): Promise<Response> {
    return this.#authenticator.send(request, this.#signal, body);
  }
}

import { DOCUMENT_LIMITS } from '@atoll/oci';
import type { Documents } from '../../domain/manifests/documents.ts';
import type { Manifests } from '../../domain/manifests/manifests.ts';
import type { Names } from '../../domain/records/names.ts';
import { notAllowed } from './blob-routes.ts';
import { answer, answerJson, type Exchange } from './exchange.ts';
import { Gate } from './gate.ts';
import { OciError } from './oci-error.ts';
import { pageOf } from './page.ts';
import { readBody } from './request-body.ts';
import { clientName, digestFor, manifestReferenceFor, repositoryFor } from './route.ts';

export interface ManifestRoutesOptions {
  readonly manifests: Manifests;
  readonly documents: Documents;
  readonly names: Names;
}

/** Manifests in memory at once, and requests that wait for their turn. */
const AT_ONCE = 16;
const WAITING = 1_024;
const INDEX = 'application/vnd.oci.image.index.v1+json';

/** Manifests, tags, referrers and the catalog (OCI distribution specification, end-3, end-7 to end-9, end-12). */
export class ManifestRoutes {
  readonly #options: ManifestRoutesOptions;
  readonly #gate = new Gate(AT_ONCE, WAITING);

  constructor(options: ManifestRoutesOptions) {
    this.#options = options;
  }

  async manifest(exchange: Exchange, name: string, text: string): Promise<void> {
    const repository = repositoryFor(name);
    const reference = manifestReferenceFor(text);
    switch (exchange.method) {
      case 'GET':
      case 'HEAD':
        return await this.#get(exchange, repository, reference);
      case 'PUT':
        return await this.#gate.run(() => this.#put(exchange, repository, reference));
      case 'DELETE':
        await this.#options.manifests.remove(repository, reference);
        return answer(exchange, 202);
      default:
        throw notAllowed(exchange.method);
    }
  }

  tags(exchange: Exchange, name: string): void {
    if (exchange.method !== 'GET' && exchange.method !== 'HEAD') throw notAllowed(exchange.method);
    const repository = repositoryFor(name);
    const { names } = this.#options;
    if (!names.knows(repository)) throw new OciError('NAME_UNKNOWN', `the registry has no repository ${name}`);
    const { items, link } = pageOf(names.repository(repository).tags.keys(), exchange.path, exchange.query);
    answerJson(exchange, { name, tags: items }, link === undefined ? {} : { Link: link });
  }

  catalog(exchange: Exchange): void {
    if (exchange.method !== 'GET' && exchange.method !== 'HEAD') throw notAllowed(exchange.method);
    const all = [...this.#options.names.repositories()].map(clientName);
    const { items, link } = pageOf(all, exchange.path, exchange.query);
    answerJson(exchange, { repositories: items }, link === undefined ? {} : { Link: link });
  }

  referrers(exchange: Exchange, name: string, text: string): void {
    if (exchange.method !== 'GET' && exchange.method !== 'HEAD') throw notAllowed(exchange.method);
    const repository = repositoryFor(name);
    const subject = digestFor(text);
    const wanted = exchange.query.get('artifactType');
    const manifests = [...this.#options.names.repository(repository).manifests]
      .filter(([, record]) => record.subject === subject && (wanted === null || record.artifactType === wanted))
      .map(([digest, { mediaType, size, artifactType, annotations }]) => ({
        mediaType,
        digest,
        size,
        artifactType,
        annotations,
      }));
    const filtered: Record<string, string> = wanted === null ? {} : { 'OCI-Filters-Applied': 'artifactType' };
    const body = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
    answer(exchange, 200, { 'Content-Type': INDEX, ...filtered }, body);
  }

  async #get(
    exchange: Exchange,
    repository: string,
    reference: ReturnType<typeof manifestReferenceFor>,
  ): Promise<void> {
    const { digest, mediaType } = await this.#options.manifests.find(repository, reference);
    const headers = { 'Content-Type': mediaType, 'Docker-Content-Digest': digest, ETag: `"${digest}"` };
    if (exchange.request.headers['if-none-match'] === headers.ETag) return answer(exchange, 304, headers);
    answer(exchange, 200, headers, await this.#options.documents.bytes(digest));
  }

  async #put(
    exchange: Exchange,
    repository: string,
    reference: ReturnType<typeof manifestReferenceFor>,
  ): Promise<void> {
    const bytes = await readBody(exchange.request, DOCUMENT_LIMITS.maxBytes);
    const contentType = exchange.request.headers['content-type'];
    const stored = await this.#options.manifests.put({ repository, reference, contentType, bytes });
    answer(exchange, 201, {
      Location: `/v2/${clientName(repository)}/manifests/${stored.digest}`,
      'Docker-Content-Digest': stored.digest,
      ...(stored.subject === undefined ? {} : { 'OCI-Subject': stored.subject }),
    });
  }
}

import { hasReason } from '@atoll/errors';
import { type Digest, familiarName, isDigest, parseReference, repositoryOf } from '@atoll/reference';
import { OciError } from './oci-error.ts';

/** What a path of the distribution API is about. `name` is the repository as the client wrote it. */
export type Route =
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'blob' | 'manifest' | 'referrers' | 'upload'; readonly name: string; readonly reference: string }
  | { readonly kind: 'uploads' | 'tags'; readonly name: string };

const KINDS = { blobs: 'blob', manifests: 'manifest', referrers: 'referrers' } as const;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
/** The name grammar of the specification; a first component may be a registry's name with its port. */
const NAME =
  /^(?:[a-z0-9][a-z0-9.-]*(?::\d{1,5})?\/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;

/** Finds the route of a path, which is taken as it is: nothing is decoded. Undefined for paths outside of the API. */
export function routeOf(path: string): Route | undefined {
  if (path === '/v2/' || path === '/v2') return { kind: 'base' };
  if (path === '/v2/_catalog') return { kind: 'catalog' };
  if (!path.startsWith('/v2/')) return undefined;
  const rest = path.slice('/v2/'.length);
  const upload = /^(.+)\/blobs\/uploads(?:\/([^/]*))?$/.exec(rest);
  if (upload !== null) {
    const [, name = '', reference = ''] = upload;
    return reference === '' ? { kind: 'uploads', name } : { kind: 'upload', name, reference };
  }
  const tags = /^(.+)\/tags\/list$/.exec(rest);
  if (tags !== null) return { kind: 'tags', name: tags[1] ?? '' };
  const [, name, collection, reference] = /^(.+)\/(blobs|manifests|referrers)\/([^/]+)$/.exec(rest) ?? [];
  if (name === undefined || collection === undefined || reference === undefined) return undefined;
  return { kind: KINDS[collection as keyof typeof KINDS], name, reference };
}

/** The full name of a repository: `foo` is `docker.io/library/foo`. Errors: NAME_INVALID. */
export function repositoryFor(name: string): string {
  if (name.length <= 255 && NAME.test(name)) {
    try {
      const reference = parseReference(name);
      if (reference.tag === undefined && reference.digest === undefined) return repositoryOf(reference);
    } catch (error) {
      if (!hasReason(error, 'invalid-argument')) throw error;
    }
  }
  throw new OciError('NAME_INVALID', `invalid repository name ${JSON.stringify(name.slice(0, 100))}`);
}

/** The name clients of the distribution API use for a repository. */
export function clientName(repository: string): string {
  return familiarName(parseReference(repository));
}

/** Errors: DIGEST_INVALID, for all algorithms but sha256 too. */
export function digestFor(text: string): Digest {
  if (isDigest(text)) return text;
  throw new OciError(
    'DIGEST_INVALID',
    `invalid digest ${JSON.stringify(text.slice(0, 100))}: write sha256: and 64 hex digits`,
  );
}

/** A tag or a digest. Errors: TAG_INVALID, DIGEST_INVALID. */
export function manifestReferenceFor(text: string): { readonly tag: string } | { readonly digest: Digest } {
  if (text.includes(':')) return { digest: digestFor(text) };
  if (TAG.test(text)) return { tag: text };
  throw new OciError('TAG_INVALID', `invalid tag ${JSON.stringify(text.slice(0, 100))}`);
}

import { type AtollError, asAtollError, notFound, permissionDenied } from '@atoll/errors';
import { familiarName, familiarString, type ImageReference } from '@atoll/reference';

/** What another registry said about a pull, in docker's words. */
export function pullError(error: unknown, reference: ImageReference): AtollError {
  const known = asAtollError(error);
  const cause = known.message;
  switch (known.details['oci']) {
    case 'MANIFEST_UNKNOWN':
      return notFound(`manifest for ${familiarString(reference)} not found: ${cause}`, { cause: error });
    case 'NAME_UNKNOWN':
      return notFound(`repository ${familiarName(reference)} not found: ${cause}`, { cause: error });
    case 'DENIED':
    case 'UNAUTHORIZED':
      return notFound(
        `pull access denied for ${familiarName(reference)}, repository does not exist or may require 'docker login': ${cause}`,
        { cause: error },
      );
    default:
      return known;
  }
}

/** What another registry said about a push, in docker's words. */
export function pushError(error: unknown): AtollError {
  const known = asAtollError(error);
  if (known.details['oci'] === 'DENIED') {
    return permissionDenied(known.message, { cause: error });
  }
  return known;
}

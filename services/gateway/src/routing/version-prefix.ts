import {
  type ApiVersion,
  formatApiVersion,
  judgeApiVersion,
  MAXIMUM_API_VERSION,
  MINIMUM_API_VERSION,
  parseApiVersion,
} from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';

export interface VersionedPath {
  readonly version: ApiVersion;
  readonly path: string;
}

/**
 * Splits `/v1.41/containers/json`. A path without a prefix is served at the newest version.
 * @throws invalid-argument in docker's words for versions that are not served
 */
export function splitVersion(path: string): VersionedPath {
  const match = /^\/v(\d[^/]*)(\/.*)$/.exec(path);
  if (match === null) return { version: MAXIMUM_API_VERSION, path };
  const text = match[1] ?? '';
  const version = parseApiVersion(text);
  if (version === undefined) throw invalidArgument(`invalid API version "${text}"`);
  const verdict = judgeApiVersion(version);
  if (verdict === 'too-new') {
    throw invalidArgument(
      `client version ${text} is too new. Maximum supported API version is ${formatApiVersion(MAXIMUM_API_VERSION)}`,
    );
  }
  if (verdict === 'too-old') {
    throw invalidArgument(
      `client version ${text} is too old. Minimum supported API version is ${formatApiVersion(MINIMUM_API_VERSION)}, please upgrade your client to a newer version`,
    );
  }
  return { version, path: match[2] ?? '/' };
}

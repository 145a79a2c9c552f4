/** A version of the Engine API. All that exist have major version 1; the minor decides. */
export interface ApiVersion {
  readonly major: number;
  readonly minor: number;
}

export const MINIMUM_API_VERSION: ApiVersion = { major: 1, minor: 24 };
export const MAXIMUM_API_VERSION: ApiVersion = { major: 1, minor: 51 };

export type VersionVerdict = 'served' | 'too-old' | 'too-new';

/** `1.41` as a version; undefined when the text is not one. */
export function parseApiVersion(text: string): ApiVersion | undefined {
  const match = /^(\d{1,4})\.(\d{1,4})$/.exec(text);
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]) };
}

export function formatApiVersion(version: ApiVersion): string {
  return `${version.major}.${version.minor}`;
}

/** Negative when `a` is older than `b`. */
export function compareApiVersions(a: ApiVersion, b: ApiVersion): number {
  return a.major - b.major || a.minor - b.minor;
}

/** Whether `version` is at least 1.`minor`. */
export function isAtLeast(version: ApiVersion, minor: number): boolean {
  return compareApiVersions(version, { major: 1, minor }) >= 0;
}

export function judgeApiVersion(version: ApiVersion): VersionVerdict {
  if (compareApiVersions(version, MINIMUM_API_VERSION) < 0) return 'too-old';
  return compareApiVersions(version, MAXIMUM_API_VERSION) > 0 ? 'too-new' : 'served';
}

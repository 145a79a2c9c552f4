import { invalidArgument } from '@atoll/errors';
import { formatReference, type ImageReference, parseReference, withDefaultTag } from '@atoll/reference';

export interface BuildTag {
  readonly reference: ImageReference;
  /** With registry, path and tag. */
  readonly full: string;
}

/** Names for the image, each once. Throws invalid-argument with Docker's texts. */
export function parseTags(tags: readonly string[]): BuildTag[] {
  const byName = new Map<string, BuildTag>();
  for (const tag of tags) {
    if (tag === '') continue;
    const reference = withDefaultTag(parseReference(tag));
    if (reference.digest !== undefined) throw invalidArgument('build tag cannot contain a digest');
    const full = formatReference(reference);
    byName.set(full, { reference, full });
  }
  return [...byName.values()];
}

/** Unix seconds of the build arg SOURCE_DATE_EPOCH (reproducible-builds.org), 0 when it is not given. */
export function sourceDateEpoch(buildArgs: Readonly<Record<string, string>>): number {
  const text = buildArgs['SOURCE_DATE_EPOCH'] ?? '';
  if (text === '') return 0;
  // The years 1970 to 9999: what RFC 3339 and tar headers can say.
  if (!/^\d{1,12}$/.test(text) || Number(text) > 253_402_300_799) {
    throw invalidArgument(`invalid SOURCE_DATE_EPOCH: ${JSON.stringify(text)} is no number of seconds since 1970`);
  }
  return Number(text);
}

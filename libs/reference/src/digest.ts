import { invalidArgument } from '@atoll/errors';

declare const digestBrand: unique symbol;
/** `sha256:<64 hex digits>`: the only algorithm Atoll stores (OCI image-spec, descriptor.md, "Registered algorithms"). */
export type Digest = string & { readonly [digestBrand]: true };

const SHA256 = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return SHA256.test(text);
}

/** Throws invalid-argument for anything but a lower-case sha256 digest. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  throw invalidArgument(`invalid digest ${JSON.stringify(shown)}: it has to be sha256: and 64 lower-case hex digits`);
}

export function sha256Digest(hex: string): Digest {
  return parseDigest(`sha256:${hex}`);
}

export function digestHex(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

/** The 12 digits docker shows. */
export function shortDigest(digest: Digest): string {
  return digestHex(digest).slice(0, 12);
}

import { type Digest, digestHex } from '@atoll/reference';

/** Which record a key names. Repositories are full names, `docker.io/library/busybox`. */
export type RecordKey =
  | { readonly kind: 'image'; readonly id: Digest }
  | { readonly kind: 'tag'; readonly repository: string; readonly tag: string }
  | { readonly kind: 'manifest'; readonly repository: string; readonly digest: Digest }
  | { readonly kind: 'blob'; readonly repository: string; readonly digest: Digest }
  | { readonly kind: 'store' };

/** The key's text. User-given parts are encoded, so that no dot, star or space of theirs gets into a subject. */
export function formatKey(key: RecordKey): string {
  switch (key.kind) {
    case 'image':
      return `image.${digestHex(key.id)}`;
    case 'tag':
      return `tag.${encodePart(key.repository)}.${encodePart(key.tag)}`;
    case 'manifest':
    case 'blob':
      return `${key.kind}.${encodePart(key.repository)}.${digestHex(key.digest)}`;
    case 'store':
      return 'store.identity';
  }
}

/** The record a key's text names, undefined for keys of a later version. */
export function parseKey(text: string): RecordKey | undefined {
  const [kind, first = '', second = ''] = text.split('.');
  switch (kind) {
    case 'image':
      return { kind, id: `sha256:${first}` as Digest };
    case 'tag':
      return { kind, repository: decodePart(first), tag: decodePart(second) };
    case 'manifest':
    case 'blob':
      return { kind, repository: decodePart(first), digest: `sha256:${second}` as Digest };
    case 'store':
      return { kind };
    default:
      return undefined;
  }
}

function encodePart(text: string): string {
  return Buffer.from(text).reduce((out, byte) => {
    const char = String.fromCharCode(byte);
    return out + (/[A-Za-z0-9_-]/.test(char) ? char : `=${byte.toString(16).padStart(2, '0').toUpperCase()}`);
  }, '');
}

function decodePart(text: string): string {
  return Buffer.from(
    text.replace(/=([0-9A-F]{2})/g, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString();
}

import { invalidArgument } from '@atoll/errors';

/**
 * Keys are `<kind>.<id>`, both parts encoded: letters, digits, `-` and `_` stay, every other byte of the UTF-8 text becomes
 * `=XX`. So nothing user-given can put a dot, star or space into a subject, and a key has exactly one text.
 */
const PLAIN = /^[A-Za-z0-9_-]$/;
/** Ids are: they are their own encoding, and most keys are made of them. */
const ALL_PLAIN = /^[A-Za-z0-9_-]+$/;
const ENCODED = /^(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+$/;

export function encodeKeyPart(text: string): string {
  if (text === '') throw invalidArgument('a key part must not be empty');
  if (ALL_PLAIN.test(text)) return text;
  let out = '';
  for (const byte of new TextEncoder().encode(text)) {
    const char = String.fromCharCode(byte);
    out += PLAIN.test(char) ? char : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

/** Errors: invalid-argument when the text is not what `encodeKeyPart` makes. */
export function decodeKeyPart(encoded: string): string {
  if (ALL_PLAIN.test(encoded)) return encoded;
  if (!ENCODED.test(encoded)) throw invalidArgument(`malformed key part ${JSON.stringify(encoded)}`);
  const bytes: number[] = [];
  for (let i = 0; i < encoded.length; i++) {
    if (encoded[i] === '=') {
      bytes.push(Number.parseInt(encoded.slice(i + 1, i + 3), 16));
      i += 2;
    } else bytes.push(encoded.charCodeAt(i));
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
  } catch (cause) {
    throw invalidArgument(`key part ${JSON.stringify(encoded)} is not UTF-8`, { cause });
  }
}

export function stateKey(kind: string, id: string): string {
  return `${encodeKeyPart(kind)}.${encodeKeyPart(id)}`;
}

/** The parts of a key, or undefined when it is none of ours. */
export function parseStateKey(key: string): { readonly kind: string; readonly id: string } | undefined {
  const parts = key.split('.');
  if (parts.length !== 2 || parts[0] === undefined || parts[1] === undefined) return undefined;
  if (!ENCODED.test(parts[0]) || !ENCODED.test(parts[1])) return undefined;
  return { kind: decodeKeyPart(parts[0]), id: decodeKeyPart(parts[1]) };
}

import { invalidArgument, resourceExhausted } from '@atoll/errors';

/** Limits of a document from outside. */
export interface JsonLimits {
  /** Bytes; registries have to take manifests of at least 4 MiB (OCI distribution-spec, pushing manifests). */
  readonly maxBytes: number;
  readonly maxDepth: number;
}

export const DOCUMENT_LIMITS: JsonLimits = { maxBytes: 4 * 1024 * 1024, maxDepth: 64 };

/**
 * Parses JSON that two readers could otherwise understand differently: valid UTF-8 without a byte order mark, no key
 * twice in one object, no `__proto__`, bounded in bytes and depth.
 * Errors: invalid-argument, resource-exhausted (too many bytes).
 */
export function parseStrictJson(bytes: Uint8Array, limits: JsonLimits = DOCUMENT_LIMITS): unknown {
  if (bytes.byteLength > limits.maxBytes) {
    throw resourceExhausted(`the document has ${bytes.byteLength} bytes, at most ${limits.maxBytes} are accepted`);
  }
  const text = decode(bytes);
  rejectAmbiguity(text, limits.maxDepth);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalidArgument(`the document is not JSON: ${(cause as Error).message}`, { cause });
  }
}

function decode(bytes: Uint8Array): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!text.startsWith('\u{feff}')) return text;
  } catch (cause) {
    throw invalidArgument('the document is not UTF-8', { cause });
  }
  throw invalidArgument('the document starts with a byte order mark, which JSON forbids');
}

/** One pass over the tokens; syntax is JSON.parse's business. */
function rejectAmbiguity(text: string, maxDepth: number): void {
  const stack: (Set<string> | undefined)[] = [];
  for (let i = 0; i < text.length; i += 1) {
    const char = text[i];
    if (char === '{' || char === '[') {
      stack.push(char === '{' ? new Set() : undefined);
      if (stack.length > maxDepth) throw invalidArgument(`the document is nested deeper than ${maxDepth} levels`);
    } else if (char === '}' || char === ']') {
      stack.pop();
    } else if (char === '"') {
      const end = stringEnd(text, i);
      const keys = stack.at(-1);
      if (keys !== undefined && isKey(text, end)) remember(keys, text.slice(i, end + 1));
      i = end;
    }
  }
}

function stringEnd(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i += 1) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '"') return i;
  }
  throw invalidArgument('the document is not JSON: a string does not end');
}

function isKey(text: string, end: number): boolean {
  for (let i = end + 1; i < text.length; i += 1) {
    const char = text[i];
    if (char === ':') return true;
    if (char !== ' ' && char !== '\t' && char !== '\n' && char !== '\r') return false;
  }
  return false;
}

function remember(keys: Set<string>, token: string): void {
  let key: string;
  try {
    key = JSON.parse(token) as string;
  } catch (cause) {
    throw invalidArgument('the document is not JSON: a key has a bad escape', { cause });
  }
  if (key === '__proto__') throw invalidArgument('the key "__proto__" is refused');
  if (keys.has(key)) throw invalidArgument(`the key ${JSON.stringify(key.slice(0, 80))} appears twice in one object`);
  keys.add(key);
}

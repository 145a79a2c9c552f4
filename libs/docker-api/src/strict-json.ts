import { invalidArgument } from '@atoll/errors';

const MAX_DEPTH = 32;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * JSON for the edge: one value and nothing after it, no name twice in one object, at most 32 levels deep.
 * @throws invalid-argument that says what is wrong
 */
export function parseStrictJson(text: string, what = 'body'): unknown {
  checkDepth(text, what);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalidArgument(`invalid JSON in ${what}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  checkDuplicates(text, what);
  return value;
}

/** Before parsing: JSON.parse recurses, so depth is bounded first. */
function checkDepth(text: string, what: string): void {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > MAX_DEPTH) throw invalidArgument(`invalid JSON in ${what}: nested deeper than ${MAX_DEPTH} levels`);
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
}

/** After parsing, so the text is known to be well formed. */
function checkDuplicates(text: string, what: string): void {
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x7b) open.push(new Set());
    else if (code === 0x5b) open.push(undefined);
    else if (code === 0x7d || code === 0x5d) open.pop();
    else if (code === QUOTE) {
      const end = endOfString(text, at);
      const names = open.at(-1);
      if (names !== undefined && isName(text, end + 1)) {
        const name = JSON.parse(text.slice(at, end + 1)) as string;
        if (names.has(name)) throw invalidArgument(`invalid JSON in ${what}: "${name}" is given twice`);
        names.add(name);
      }
      at = end;
    }
  }
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}

function isName(text: string, from: number): boolean {
  let at = from;
  while (/\s/.test(text[at] ?? '')) at++;
  return text[at] === ':';
}

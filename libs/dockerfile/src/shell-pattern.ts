/** A shell pattern of `${name#pattern}` and its kin: `*` any text, `?` one character, a backslash takes the next literally. */
type Token = { readonly any: true } | { readonly any: false; readonly char: string | undefined };

function tokens(pattern: string): Token[] {
  const out: Token[] = [];
  const chars = [...pattern];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] as string;
    if (char === '*') out.push({ any: true });
    else if (char === '?') out.push({ any: false, char: undefined });
    else if (char === '\\' && at + 1 < chars.length) out.push({ any: false, char: chars[++at] });
    else out.push({ any: false, char });
  }
  return out;
}

/** Lengths (in characters) of the prefixes of `text` that the pattern matches, shortest first. Costs pattern times text. */
function prefixLengths(pattern: readonly Token[], text: readonly string[]): number[] {
  let states = closure(pattern, new Set([0]));
  const lengths: number[] = [];
  for (let length = 0; ; length++) {
    if (states.has(pattern.length)) lengths.push(length);
    if (length === text.length || states.size === 0) return lengths;
    const next = new Set<number>();
    for (const state of states) {
      const token = pattern[state];
      if (!token) continue;
      if (token.any) next.add(state);
      else if (token.char === undefined || token.char === text[length]) next.add(state + 1);
    }
    states = closure(pattern, next);
  }
}

/** A star may match nothing: whoever stands before one also stands behind it. */
function closure(pattern: readonly Token[], states: Set<number>): Set<number> {
  for (const state of states) if (pattern[state]?.any) states.add(state + 1);
  return states;
}

export function trimPrefix(pattern: string, value: string, greedy: boolean): string {
  const text = [...value];
  const length = prefixLengths(tokens(pattern), text).at(greedy ? -1 : 0);
  return length === undefined ? value : text.slice(length).join('');
}

export function trimSuffix(pattern: string, value: string, greedy: boolean): string {
  const text = [...value].reverse();
  const length = prefixLengths(tokens(pattern).reverse(), text).at(greedy ? -1 : 0);
  return length === undefined ? value : text.slice(length).reverse().join('');
}

/** Replaces the first (or each) longest match from the left. */
export function replaceMatches(pattern: string, value: string, replacement: string, all: boolean): string {
  const wanted = tokens(pattern);
  const text = [...value];
  let out = '';
  for (let at = 0; at <= text.length; at++) {
    const length = prefixLengths(wanted, text.slice(at)).at(-1);
    if (length !== undefined) {
      out += replacement;
      if (!all) return out + text.slice(at + length).join('');
      if (length > 0) {
        at += length - 1;
        continue;
      }
    }
    out += text[at] ?? '';
  }
  return out;
}

/** One step of a compiled pattern. */
type Token =
  | { readonly kind: 'char'; readonly char: string }
  | { readonly kind: 'one' } // any character but a slash
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly (readonly [string, string])[] }
  | { readonly kind: 'star' } // any text without a slash
  | { readonly kind: 'folders' } // nothing, or any text that ends in a slash
  | { readonly kind: 'rest' }; // any text at all

/**
 * Go's filepath.Match pattern (`*`, `?`, `[a-z]`, backslash), with `**` of Docker's ignore files where that is asked for.
 * Matching runs all alternatives at once, so its cost is pattern times path whatever the pattern is.
 */
export class PathPattern {
  readonly #tokens: readonly Token[];
  readonly #literal: string | undefined;

  private constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
    this.#literal = tokens.every((token) => token.kind === 'char')
      ? tokens.map((token) => (token as { char: string }).char).join('')
      : undefined;
  }

  /** Undefined when the pattern is malformed (Go's ErrBadPattern). */
  static compile(pattern: string, options: { readonly doubleStar: boolean }): PathPattern | undefined {
    const chars = [...pattern];
    const tokens: Token[] = [];
    for (let at = 0; at < chars.length; at++) {
      const char = chars[at] as string;
      if (char === '*' && options.doubleStar && chars[at + 1] === '*') {
        at++;
        if (chars[at + 1] === '/') at++;
        tokens.push(at + 1 >= chars.length ? { kind: 'rest' } : { kind: 'folders' });
      } else if (char === '*') tokens.push({ kind: 'star' });
      else if (char === '?') tokens.push({ kind: 'one' });
      else if (char === '[') {
        const parsed = parseClass(chars, at + 1);
        if (!parsed) return undefined;
        tokens.push(parsed.token);
        at = parsed.end;
      } else if (char === '\\') {
        if (at + 1 >= chars.length) return undefined;
        tokens.push({ kind: 'char', char: chars[++at] as string });
      } else tokens.push({ kind: 'char', char });
    }
    return new PathPattern(tokens);
  }

  /** True when the pattern has nothing that matches more than one text. */
  get isLiteral(): boolean {
    return this.#literal !== undefined;
  }

  matches(path: string): boolean {
    if (this.#literal !== undefined) return this.#literal === path;
    const tokens = this.#tokens;
    let states = new Set([0]);
    this.#skip(states);
    for (const char of path) {
      const next = new Set<number>();
      for (const state of states) {
        const token = tokens[state & STATE];
        if (!token) continue;
        if (token.kind === 'rest') next.add(state);
        else if (token.kind === 'star') {
          if (char !== '/') next.add(state);
        } else if (token.kind === 'folders') {
          // Inside its text only a slash leads out of it again.
          next.add((state & STATE) | INSIDE);
          if (char === '/') next.add((state & STATE) + 1);
        } else if (accepts(token, char)) next.add(state + 1);
      }
      if (next.size === 0) return false;
      this.#skip(next);
      states = next;
    }
    return states.has(tokens.length);
  }

  /** Whoever stands before something that may match nothing also stands behind it. */
  #skip(states: Set<number>): void {
    for (const state of states) {
      const kind = this.#tokens[state & STATE]?.kind;
      if (kind === 'star' || kind === 'rest' || (kind === 'folders' && !(state & INSIDE))) states.add(state + 1);
    }
  }
}

const INSIDE = 1 << 24;
const STATE = INSIDE - 1;

function accepts(token: Token, char: string): boolean {
  if (token.kind === 'char') return token.char === char;
  if (char === '/') return false;
  if (token.kind === 'class') return token.ranges.some(([low, high]) => low <= char && char <= high) !== token.negated;
  return token.kind === 'one';
}

/** `[abc]`, `[a-z]`, `[^a]`; a backslash takes the next character literally. */
function parseClass(chars: readonly string[], start: number): { token: Token; end: number } | undefined {
  let at = start;
  const negated = chars[at] === '^';
  if (negated) at++;
  const ranges: [string, string][] = [];
  const one = (): string | undefined => {
    if (chars[at] === '\\') at++;
    return chars[at++];
  };
  while (chars[at] !== ']' || ranges.length === 0) {
    if (chars[at] === undefined || chars[at] === '-' || chars[at] === ']') return undefined;
    const low = one();
    if (low === undefined) return undefined;
    let high = low;
    if (chars[at] === '-') {
      at++;
      if (chars[at] === undefined || chars[at] === ']' || chars[at] === '-') return undefined;
      const end = one();
      if (end === undefined) return undefined;
      high = end;
    }
    ranges.push([low, high]);
  }
  return { token: { kind: 'class', negated, ranges }, end: at };
}

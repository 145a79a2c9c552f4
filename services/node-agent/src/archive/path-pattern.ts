import { invalidArgument } from '@atoll/errors';

type Token =
  | { readonly kind: 'star' }
  | { readonly kind: 'one' }
  | { readonly kind: 'char'; readonly char: string }
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly (readonly [string, string])[] };

/**
 * A path with wildcards of Go's filepath.Match (`*`, `?`, `[a-z]`, backslash), matched folder by folder. Each name costs at most
 * pattern times name.
 */
export class PathPattern {
  /** The folders before the first one with a wildcard; absolute. */
  readonly base: string;
  readonly #names: readonly (readonly Token[])[];

  /** Throws invalid-argument for a malformed pattern. */
  constructor(pattern: string) {
    const parts = pattern.split('/').filter((part) => part !== '' && part !== '.');
    const wild = parts.findIndex((part) => /[*?[\\]/.test(part));
    this.base = `/${parts.slice(0, wild < 0 ? parts.length : wild).join('/')}`;
    this.#names = parts.slice(wild < 0 ? parts.length : wild).map((part) => tokensOf(part, pattern));
  }

  /** @param path below `base`, relative */
  matches(path: string): boolean {
    const names = path.split('/');
    return (
      names.length === this.#names.length && this.#names.every((tokens, index) => fits(tokens, names[index] ?? ''))
    );
  }
}

/** Greedy, going back to the newest star only: enough, because a star takes any text within a name. */
function fits(tokens: readonly Token[], name: string): boolean {
  const chars = [...name];
  let token = 0;
  let at = 0;
  let star: { readonly token: number; at: number } | undefined;
  while (at < chars.length) {
    const current = tokens[token];
    if (current?.kind === 'star') star = { token: token++, at };
    else if (current && accepts(current, chars[at] as string)) {
      token++;
      at++;
    } else if (star) {
      at = ++star.at;
      token = star.token + 1;
    } else return false;
  }
  while (tokens[token]?.kind === 'star') token++;
  return token === tokens.length;
}

function accepts(token: Token, char: string): boolean {
  if (token.kind === 'char') return token.char === char;
  if (token.kind === 'class') return token.ranges.some(([low, high]) => low <= char && char <= high) !== token.negated;
  return token.kind === 'one';
}

function tokensOf(name: string, pattern: string): Token[] {
  const chars = [...name];
  const tokens: Token[] = [];
  let at = 0;
  const literal = (): string => {
    if (chars[at] === '\\') at++;
    const char = chars[at++];
    if (char === undefined) throw invalidArgument(`syntax error in pattern ${pattern}`);
    return char;
  };
  while (at < chars.length) {
    const char = chars[at] as string;
    if (char === '*' || char === '?') {
      at++;
      tokens.push({ kind: char === '*' ? 'star' : 'one' });
    } else if (char !== '[') tokens.push({ kind: 'char', char: literal() });
    else {
      at++;
      const negated = chars[at] === '^';
      if (negated) at++;
      const ranges: [string, string][] = [];
      while (chars[at] !== ']' || ranges.length === 0) {
        if (chars[at] === '-' || chars[at] === ']') throw invalidArgument(`syntax error in pattern ${pattern}`);
        const low = literal();
        if (chars[at] !== '-') ranges.push([low, low]);
        else {
          at++;
          if (chars[at] === ']' || chars[at] === '-') throw invalidArgument(`syntax error in pattern ${pattern}`);
          ranges.push([low, literal()]);
        }
      }
      at++;
      tokens.push({ kind: 'class', negated, ranges });
    }
  }
  return tokens;
}

import { invalidArgument } from '@atoll/errors';
import { DOCKERFILE_LIMITS } from './limits.ts';
import { replaceMatches, trimPrefix, trimSuffix } from './shell-pattern.ts';

/** Variables by name. Those that are absent are unset, which is not the same as empty. */
export type Variables = ReadonlyMap<string, string>;

/** Takes quotes and escapes off a word and replaces `$name`, `${name}` and its modifiers. Throws invalid-argument in Docker's words. */
export function expandWord(word: string, variables: Variables, escapeChar: string): string {
  return expansionOf(word, variables, escapeChar).text;
}

/** As `expandWord`, then split at the blanks that were not quoted: what came out of a variable is split too. */
export function expandWords(word: string, variables: Variables, escapeChar: string): string[] {
  return expansionOf(word, variables, escapeChar).words;
}

function expansionOf(word: string, variables: Variables, escapeChar: string): { text: string; words: string[] } {
  try {
    return new Expansion(word, variables, escapeChar).until(undefined, false);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw invalidArgument(`failed to process ${JSON.stringify(word)}: ${error.message}`);
  }
}

class Refusal extends Error {}

const END = '';
const SPECIAL = new Set(['@', '*', '#', '?', '-', '$', '!', '0']);

/** One word being read from left to right, the way Docker's shell lexer reads it. */
class Expansion {
  readonly #chars: readonly string[];
  readonly #variables: Variables;
  readonly #escape: string;
  #at = 0;
  #depth = 0;

  constructor(word: string, variables: Variables, escapeChar: string) {
    this.#chars = [...word];
    this.#variables = variables;
    this.#escape = escapeChar;
  }

  #peek(): string {
    return this.#chars[this.#at] ?? END;
  }

  #next(): string {
    return this.#chars[this.#at++] ?? END;
  }

  /** Reads up to `stop` or the end. `rawEscapes` keeps escape characters, for patterns that give them a meaning. */
  until(stop: string | undefined, rawEscapes: boolean): { text: string; words: string[] } {
    if (++this.#depth > DOCKERFILE_LIMITS.expansionDepth) throw new Refusal('substitutions are nested too deeply');
    const out = new Output();
    for (;;) {
      const char = this.#peek();
      if (char === END) break;
      if (char === stop) {
        this.#next();
        this.#depth--;
        return out.done();
      }
      if (char === '$') out.add(this.#dollar());
      else if (char === "'") out.addQuoted(this.#singleQuoted());
      else if (char === '"') out.addQuoted(this.#doubleQuoted(rawEscapes));
      else if (char === this.#escape) {
        this.#next();
        if (rawEscapes) out.addQuoted(char);
        out.addQuoted(this.#next());
      } else out.add(this.#next());
    }
    if (stop !== undefined) throw new Refusal(`syntax error: missing '${stop}'`);
    this.#depth--;
    return out.done();
  }

  #singleQuoted(): string {
    this.#next();
    let text = '';
    for (;;) {
      const char = this.#next();
      if (char === END) throw new Refusal('unexpected end of statement while looking for matching single-quote');
      if (char === "'") return text;
      text += char;
    }
  }

  #doubleQuoted(rawEscapes: boolean): string {
    this.#next();
    let text = '';
    for (;;) {
      const char = this.#peek();
      if (char === END) throw new Refusal('unexpected end of statement while looking for matching double-quote');
      if (char === '$') {
        text += this.#dollar();
        continue;
      }
      this.#next();
      if (char === '"') return text;
      if (char !== this.#escape) {
        text += char;
        continue;
      }
      if (rawEscapes) text += char;
      const escaped = this.#peek();
      if (escaped === END) continue;
      const special = escaped === '"' || escaped === '$' || escaped === this.#escape;
      text += special ? this.#next() : rawEscapes ? '' : char;
    }
  }

  #dollar(): string {
    this.#next();
    if (this.#peek() !== '{') {
      const name = this.#name();
      return name === '' ? '$' : (this.#variables.get(name) ?? '');
    }
    this.#next();
    const first = this.#peek();
    if (first === END) throw new Refusal("syntax error: missing '}'");
    if (first === '{' || first === '}' || first === ':') throw new Refusal('syntax error: bad substitution');
    const name = this.#name();
    const value = this.#variables.get(name);
    const operator = this.#next();
    if (operator === '}') return value ?? '';
    if (operator === END) throw new Refusal("syntax error: missing '}'");
    if (operator === '/') return this.#replacement(value ?? '');
    const emptyIsUnset = operator === ':';
    const modifier = emptyIsUnset ? this.#next() : operator;
    if (modifier === '' || !'+-?#%'.includes(modifier)) {
      throw new Refusal(`unsupported modifier (${emptyIsUnset ? ':' : ''}${modifier}) in substitution`);
    }
    const { text: word } = this.until('}', modifier === '#' || modifier === '%');
    const missing = value === undefined || (emptyIsUnset && value === '');
    switch (modifier) {
      case '-':
        return missing ? word : value;
      case '+':
        return missing ? '' : word;
      case '?':
        if (missing) {
          throw new Refusal(`${name}: ${word || `is not allowed to be ${value === undefined ? 'unset' : 'empty'}`}`);
        }
        return value;
      default:
        return trimmed(modifier, word, value ?? '');
    }
  }

  #replacement(value: string): string {
    const all = this.#peek() === '/';
    if (all) this.#next();
    const pattern = this.until('/', true).text;
    const replacement = this.until('}', true).text;
    if (pattern.includes('*') && value.length > DOCKERFILE_LIMITS.starSearch) {
      throw new Refusal(
        `the value is longer than ${DOCKERFILE_LIMITS.starSearch} characters, too long for this pattern`,
      );
    }
    return replaceMatches(pattern, value, replacement, all);
  }

  /** A name, a row of digits, or one of the shell's special parameters. */
  #name(): string {
    let name = '';
    for (;;) {
      const char = this.#peek();
      if (char === END) return name;
      if (name === '' && /\p{Nd}/u.test(char)) {
        while (/\p{Nd}/u.test(this.#peek())) name += this.#next();
        return name;
      }
      if (name === '' && SPECIAL.has(char)) return this.#next();
      if (!/[\p{L}\p{Nd}_]/u.test(char)) return name;
      name += this.#next();
    }
  }
}

function trimmed(modifier: string, word: string, value: string): string {
  const greedy = word.startsWith(modifier);
  const pattern = greedy ? word.slice(1) : word;
  return modifier === '%' ? trimSuffix(pattern, value, greedy) : trimPrefix(pattern, value, greedy);
}

/** The text so far, and the same cut into words. */
class Output {
  #text = '';
  #word = '';
  readonly #words: string[] = [];

  add(text: string): void {
    this.#grow(text);
    for (const char of text) {
      if (!/\s/u.test(char)) this.#word += char;
      else this.#cut();
    }
  }

  addQuoted(text: string): void {
    this.#grow(text);
    this.#word += text;
  }

  done(): { text: string; words: string[] } {
    this.#cut();
    return { text: this.#text, words: this.#words };
  }

  #grow(text: string): void {
    this.#text += text;
    if (this.#text.length > DOCKERFILE_LIMITS.expansionLength) throw new Refusal('the expanded text is too long');
  }

  #cut(): void {
    if (this.#word !== '') this.#words.push(this.#word);
    this.#word = '';
  }
}

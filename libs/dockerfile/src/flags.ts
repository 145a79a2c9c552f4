export interface FlagSplit {
  readonly flags: readonly string[];
  /** What follows the flags. */
  readonly rest: string;
}

/** Takes the `--name=value` words off the front of an instruction's text. Quotes and backslashes in them are resolved here. */
export function extractFlags(text: string): FlagSplit {
  const flags: string[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && /\s/u.test(text[at] as string)) at++;
    if (!text.startsWith('--', at)) return { flags, rest: text.slice(at) };
    let word = '';
    let quote = '';
    for (; at < text.length; at++) {
      let char = text[at] as string;
      if (quote === '' && /\s/u.test(char)) break;
      if (quote === '' && (char === '"' || char === "'")) {
        quote = char;
        continue;
      }
      if (char === quote) {
        quote = '';
        continue;
      }
      if (char === '\\') {
        if (at + 1 >= text.length) continue;
        char = text[++at] as string;
      }
      word += char;
    }
    if (word === '--') return { flags, rest: text.slice(at).trimStart() };
    flags.push(word);
  }
}

/** What an instruction says about one of its flags. */
export type FlagKind = 'string' | 'unsupported';

/** Checks flags against those an instruction knows. Throws a plain message through `fail`. */
export function readFlags(
  flags: readonly string[],
  known: Readonly<Record<string, FlagKind>>,
  fail: (message: string) => Error,
): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const flag of flags) {
    const { name, value } = splitFlag(flag);
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (!kind) throw fail(`unknown flag: ${name}`);
    if (values.has(name)) throw fail(`duplicate flag specified: ${name}`);
    if (kind === 'unsupported') throw fail(`--${name} is not supported by this builder`);
    if (value === undefined) throw fail(`missing a value on flag: ${name}`);
    values.set(name, value);
  }
  return values;
}

function splitFlag(flag: string): { name: string; value: string | undefined } {
  const text = flag.slice(2);
  const equals = text.indexOf('=');
  return equals < 0 ? { name: text, value: undefined } : { name: text.slice(0, equals), value: text.slice(equals + 1) };
}

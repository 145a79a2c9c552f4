const SPACE = /\s/u;
const BLANKS = /[\t\v\f\r ]+/;

export function splitBlanks(text: string): string[] {
  const trimmed = text.trim();
  return trimmed === '' ? [] : trimmed.split(BLANKS);
}

/**
 * Splits at blanks outside quotes, keeping quotes and escapes in the words: they are taken off when the word is expanded.
 * An open quote runs to the end of the text.
 */
export function splitWords(text: string, escapeChar: string): string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (quote === '' && SPACE.test(char)) {
      if (word !== '') words.push(word);
      word = '';
      continue;
    }
    word += char;
    if (char === escapeChar && quote !== "'") {
      if (at + 1 < text.length) word += text[++at];
    } else if (quote === '') {
      if (char === '"' || char === "'") quote = char;
    } else if (char === quote) {
      quote = '';
    }
  }
  if (word !== '') words.push(word);
  return words;
}

/**
 * The exec form `["a", "b"]`. Undefined when the text is not a JSON array, which makes it the shell form; `'not strings'` when it
 * is one of something else, which Docker refuses.
 */
export function parseJsonWords(text: string): string[] | 'not strings' | undefined {
  if (!text.trimStart().startsWith('[')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  return value.every((item) => typeof item === 'string') ? (value as string[]) : 'not strings';
}

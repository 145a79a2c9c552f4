import type { Statement } from './statement.ts';
import { splitWords } from './words.ts';

const HEREDOC = /^\d*<<-?(["']?)[^<\s"'()]+\1$/;

/** Here-documents are a feature of newer frontends; without them the lines below would be read as instructions, so say it at once. */
export function refuseHeredoc(s: Statement): void {
  const found = splitWords(s.rest, s.escapeChar).find((word) => HEREDOC.test(word));
  if (found) {
    throw s.fail(`here-documents (${found}) are not supported by this builder; use continuation lines or COPY a file`);
  }
}

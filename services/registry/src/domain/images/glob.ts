import { invalidArgument } from '@atoll/errors';

/** A shell pattern as Go's path.Match has it: `*` and `?` stop at slashes, `[a-z]` and `[^a]` are classes, `\` quotes. */
export function globMatcher(pattern: string): (text: string) => boolean {
  let source = '';
  for (let i = 0; i < pattern.length; i += 1) {
    const char = pattern[i] ?? '';
    if (char === '*') source += '[^/]*';
    else if (char === '?') source += '[^/]';
    else if (char === '[') {
      const end = pattern.indexOf(']', i + 2);
      if (end < 0) throw invalidArgument(`syntax error in pattern ${JSON.stringify(pattern.slice(0, 100))}`);
      const body = pattern
        .slice(i + 1, end)
        .replace(/^!/, '^')
        .replace(/[\\[]/g, '\\$&');
      source += `[${body}]`;
      i = end;
    } else {
      if (char === '\\') i += 1;
      source += (pattern[i] ?? '').replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    }
  }
  let regex: RegExp;
  try {
    regex = new RegExp(`^${source.replace(/(?:\[\^\/\]\*)+/g, '[^/]*')}$`, 'u');
  } catch (cause) {
    throw invalidArgument(`syntax error in pattern ${JSON.stringify(pattern.slice(0, 100))}`, { cause });
  }
  return (text) => regex.test(text);
}

import { setFlagsFromString } from 'node:v8';

// V8's engine without backtracking, for patterns marked "l": a user's pattern must not be able to stop the gateway.
setFlagsFromString('--enable-experimental-regexp-engine');

/**
 * A regular expression of Go's form that is matched in linear time. Of that form: characters, classes, groups, alternatives, anchors
 * and repetitions. @throws SyntaxError for others, such as `(?i)`, `\\A`, `[[:alpha:]]` and large repetitions
 */
export function linearPattern(source: string): RegExp {
  // Without the strictness of "u", what only Go knows would be read as something else.
  new RegExp(source, 'u');
  return new RegExp(source, 'l');
}

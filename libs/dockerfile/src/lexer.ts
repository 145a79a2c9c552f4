import { invalidArgument } from '@atoll/errors';
import { DOCKERFILE_LIMITS } from './limits.ts';
import { parseFailure } from './parse-failure.ts';

/** One instruction with its continuation lines joined, comments inside it left out. */
export interface LogicalLine {
  readonly text: string;
  /** First and last line in the file, from 1. */
  readonly line: number;
  readonly endLine: number;
}

export interface LexedDockerfile {
  /** The escape character: a backslash or, after `# escape=`, a backtick. */
  readonly escapeChar: '\\' | '`';
  /** The frontend named by `# syntax=`, if any. It is never fetched nor run. */
  readonly syntax: string | undefined;
  readonly lines: readonly LogicalLine[];
  /** Docker's warnings, one line of text each. */
  readonly warnings: readonly string[];
}

const DIRECTIVE = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;
const KNOWN_DIRECTIVES = new Set(['escape', 'syntax', 'check']);

/** Splits a Dockerfile into instructions, by the rules of Docker's own scanner. Throws invalid-argument. */
export function lexDockerfile(bytes: Uint8Array): LexedDockerfile {
  const physical = physicalLines(bytes);
  const { escapeChar, syntax } = readDirectives(physical);
  const lines: LogicalLine[] = [];
  const warnings: string[] = [];
  for (let at = 0; at < physical.length; at++) {
    const start = at;
    const first = (physical[at] ?? '').trimStart();
    if (first === '' || first.startsWith('#')) continue;
    let { text, goesOn } = cutContinuation(first, escapeChar);
    let sawEmptyLine = false;
    const parts = [text];
    while (goesOn && at + 1 < physical.length) {
      const next = physical[++at] ?? '';
      const trimmed = next.trimStart();
      if (trimmed.startsWith('#')) continue;
      if (trimmed === '') {
        sawEmptyLine = true;
        continue;
      }
      ({ text, goesOn } = cutContinuation(next, escapeChar));
      parts.push(text);
    }
    text = parts.join('');
    if (sawEmptyLine) warnings.push(`[WARNING]: Empty continuation line found in:\n    ${text}`);
    if (text.trim() === '') continue;
    if (lines.length >= DOCKERFILE_LIMITS.instructions) {
      throw parseFailure(start + 1, `more than ${DOCKERFILE_LIMITS.instructions} instructions; split the file`);
    }
    lines.push({ text, line: start + 1, endLine: at + 1 });
  }
  return { escapeChar, syntax, lines, warnings };
}

function physicalLines(bytes: Uint8Array): string[] {
  if (bytes.length > DOCKERFILE_LIMITS.fileBytes) {
    throw invalidArgument(`the Dockerfile has ${bytes.length} bytes; at most ${DOCKERFILE_LIMITS.fileBytes} are read`);
  }
  // TextDecoder drops one byte order mark at the start, as Docker does.
  const lines = new TextDecoder('utf-8').decode(bytes).split('\n');
  return lines.map((line, index) => {
    if (line.length > DOCKERFILE_LIMITS.lineBytes || Buffer.byteLength(line) > DOCKERFILE_LIMITS.lineBytes) {
      throw parseFailure(index + 1, `dockerfile line greater than max allowed size of ${DOCKERFILE_LIMITS.lineBytes}`);
    }
    if (line.includes('\0')) throw parseFailure(index + 1, 'NUL byte in the Dockerfile');
    return line.endsWith('\r') ? line.slice(0, -1) : line;
  });
}

/** Directives stand before everything else; the first line that is none ends them. */
function readDirectives(physical: readonly string[]): Pick<LexedDockerfile, 'escapeChar' | 'syntax'> {
  const seen = new Map<string, string>();
  for (const [index, line] of physical.entries()) {
    const match = DIRECTIVE.exec(line.trimStart());
    const name = match?.[1]?.toLowerCase() ?? '';
    if (!match || !KNOWN_DIRECTIVES.has(name)) break;
    if (seen.has(name)) throw parseFailure(index + 1, `only one ${name} parser directive can be used`);
    const value = match[2] ?? '';
    if (name === 'escape' && value !== '\\' && value !== '`') {
      throw parseFailure(index + 1, `invalid escape token '${value}' does not match \` or \\`);
    }
    seen.set(name, value);
  }
  return { escapeChar: seen.get('escape') === '`' ? '`' : '\\', syntax: seen.get('syntax') };
}

/** Cuts the escape character at the end of a line (blanks may follow it), which says that the next line belongs to it. */
function cutContinuation(line: string, escapeChar: string): { text: string; goesOn: boolean } {
  let end = line.length;
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end--;
  if (end === 0 || line[end - 1] !== escapeChar) return { text: line, goesOn: false };
  return { text: line.slice(0, end - 1), goesOn: true };
}

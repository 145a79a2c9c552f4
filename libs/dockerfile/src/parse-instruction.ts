import { extractFlags, type FlagKind, readFlags } from './flags.ts';
import { refuseHeredoc } from './heredoc.ts';
import type { CommandLine, CopyInstruction, FromInstruction, Instruction, NameValue } from './instructions.ts';
import type { LogicalLine } from './lexer.ts';
import { parseFailure } from './parse-failure.ts';
import { parseHealthcheck } from './parse-healthcheck.ts';
import type { Statement } from './statement.ts';
import { parseJsonWords, splitBlanks, splitWords } from './words.ts';

type Parser = (statement: Statement) => Instruction | FromInstruction;

/** Reads one instruction. Throws invalid-argument with Docker's text and the line. */
export function parseInstruction(line: LogicalLine, escapeChar: string): Instruction | FromInstruction {
  const text = line.text.trim();
  const [word = ''] = text.split(/[\t\v\f\r ]/, 1);
  const name = word.toUpperCase();
  const { flags, rest } = extractFlags(text.slice(word.length));
  const fail = (message: string): Error => parseFailure(line.line, message);
  const parser = Object.hasOwn(PARSERS, name) ? PARSERS[name] : undefined;
  if (!parser) throw fail(`unknown instruction: ${word}`);
  const statement: Statement = {
    at: { line: line.line, source: text },
    name,
    rest: rest.trim(),
    escapeChar,
    fail,
    flag: (known) => readFlags(flags, known, fail),
  };
  return parser(statement);
}

const PARSERS: Readonly<Record<string, Parser>> = {
  FROM: parseFrom,
  ARG: parseArg,
  RUN: parseRun,
  COPY: (s) => parseCopy(s, 'COPY'),
  ADD: (s) => parseCopy(s, 'ADD'),
  ENV: (s) => ({ ...s.at, kind: 'ENV', pairs: parsePairs(s) }),
  LABEL: (s) => ({ ...s.at, kind: 'LABEL', pairs: parsePairs(s) }),
  WORKDIR: (s) => ({ ...s.at, kind: 'WORKDIR', path: oneText(s) }),
  USER: (s) => ({ ...s.at, kind: 'USER', text: oneText(s) }),
  STOPSIGNAL: (s) => ({ ...s.at, kind: 'STOPSIGNAL', text: oneText(s) }),
  MAINTAINER: (s) => ({ ...s.at, kind: 'MAINTAINER', text: oneText(s) }),
  ONBUILD: parseOnbuild,
  EXPOSE: parseExpose,
  VOLUME: parseVolume,
  SHELL: parseShell,
  CMD: (s) => parseDefault(s, 'CMD'),
  ENTRYPOINT: (s) => parseDefault(s, 'ENTRYPOINT'),
  HEALTHCHECK: parseHealthcheck,
};

function parseFrom(s: Statement): FromInstruction {
  const words = splitBlanks(s.rest);
  const [image = '', as, name] = words;
  let stage: string | undefined;
  if (words.length === 3 && as?.toLowerCase() === 'as') {
    stage = (name as string).toLowerCase();
    if (!/^[a-z][a-z0-9-_.]*$/.test(stage)) {
      throw s.fail(`invalid name for build stage: "${name}", name can't start with a number or contain symbols`);
    }
  } else if (words.length !== 1) {
    throw s.fail('FROM requires either one or three arguments');
  }
  return { ...s.at, kind: 'FROM', image, name: stage, platform: s.flag({ platform: 'string' }).get('platform') };
}

function parseArg(s: Statement): Instruction {
  s.flag({});
  const words = splitWords(s.rest, s.escapeChar);
  if (words.length === 0) throw s.fail('ARG requires at least one argument');
  const args = words.map((word) => {
    const equals = word.indexOf('=');
    if (equals === 0) throw s.fail('ARG names can not be blank');
    return equals < 0
      ? { name: word, value: undefined }
      : { name: word.slice(0, equals), value: word.slice(equals + 1) };
  });
  return { ...s.at, kind: 'ARG', args };
}

function parseRun(s: Statement): Instruction {
  refuseHeredoc(s);
  const flags = s.flag({ network: 'string', mount: 'unsupported', security: 'unsupported', device: 'unsupported' });
  return { ...s.at, kind: 'RUN', command: commandOf(s), network: flags.get('network') };
}

const COPY_FLAGS: Readonly<Record<string, FlagKind>> = {
  from: 'string',
  chown: 'string',
  chmod: 'string',
  link: 'unsupported',
  parents: 'unsupported',
  exclude: 'unsupported',
};
const ADD_FLAGS: Readonly<Record<string, FlagKind>> = {
  chown: 'string',
  chmod: 'string',
  link: 'unsupported',
  exclude: 'unsupported',
  checksum: 'unsupported',
  'keep-git-dir': 'unsupported',
};

function parseCopy(s: Statement, kind: 'COPY' | 'ADD'): CopyInstruction {
  refuseHeredoc(s);
  const flags = s.flag(kind === 'COPY' ? COPY_FLAGS : ADD_FLAGS);
  const paths = wordsOrJson(s);
  if (paths.length < 2) {
    throw s.fail(
      `${kind} requires at least two arguments, but only one was provided. Destination could not be determined`,
    );
  }
  return {
    ...s.at,
    kind,
    sources: paths.slice(0, -1),
    destination: paths.at(-1) as string,
    from: flags.get('from'),
    chown: flags.get('chown'),
    chmod: flags.get('chmod'),
  };
}

/** `name=value …`, or the older `name value with blanks`. */
function parsePairs(s: Statement): NameValue[] {
  s.flag({});
  const words = splitWords(s.rest, s.escapeChar);
  const [first] = words;
  if (first === undefined) throw s.fail(`${s.name} requires at least one argument`);
  if (!first.includes('=')) {
    const blank = s.rest.search(/[\t\v\f\r ]/);
    if (blank < 0) throw s.fail(`${s.name} must have two arguments`);
    return [{ name: s.rest.slice(0, blank), value: s.rest.slice(blank).trimStart() }];
  }
  return words.map((word) => {
    const equals = word.indexOf('=');
    if (equals < 0) throw s.fail(`Syntax error - can't find = in "${word}". Must be of the form: name=value`);
    if (equals === 0) throw s.fail(`${s.name} names can not be blank`);
    return { name: word.slice(0, equals), value: word.slice(equals + 1) };
  });
}

function oneText(s: Statement): string {
  s.flag({});
  if (s.rest === '') throw s.fail(`${s.name} requires exactly one argument`);
  return s.rest;
}

function parseOnbuild(s: Statement): Instruction {
  const text = s.at.source.slice(s.name.length).trimStart();
  if (text === '') throw s.fail('ONBUILD requires at least one argument');
  const trigger = (text.split(/\s/u, 1)[0] as string).toUpperCase();
  if (trigger === 'ONBUILD') throw s.fail("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (trigger === 'FROM' || trigger === 'MAINTAINER') throw s.fail(`${trigger} isn't allowed as an ONBUILD trigger`);
  parseInstruction({ text, line: s.at.line, endLine: s.at.line }, s.escapeChar);
  return { ...s.at, kind: 'ONBUILD', text };
}

function parseExpose(s: Statement): Instruction {
  s.flag({});
  const items = splitBlanks(s.rest);
  if (items.length === 0) throw s.fail('EXPOSE requires at least one argument');
  return { ...s.at, kind: 'EXPOSE', items };
}

function parseVolume(s: Statement): Instruction {
  s.flag({});
  const items = wordsOrJson(s).map((item) => item.trim());
  if (items.length === 0) throw s.fail('VOLUME requires at least one argument');
  if (items.includes('')) throw s.fail('VOLUME specified can not be an empty string');
  return { ...s.at, kind: 'VOLUME', items };
}

function parseShell(s: Statement): Instruction {
  s.flag({});
  const command = commandOf(s);
  if (command.form !== 'exec') throw s.fail('SHELL requires the arguments to be in JSON form');
  if (command.words.length === 0) throw s.fail('SHELL requires at least one argument');
  return { ...s.at, kind: 'SHELL', items: command.words };
}

function parseDefault(s: Statement, kind: 'CMD' | 'ENTRYPOINT'): Instruction {
  s.flag({});
  return { ...s.at, kind, command: commandOf(s) };
}

function wordsOrJson(s: Statement): string[] {
  const json = parseJsonWords(s.rest);
  if (json === 'not strings') {
    throw s.fail('when using JSON array syntax, arrays must be comprised of strings only');
  }
  return json ?? splitBlanks(s.rest);
}

function commandOf(s: Statement): CommandLine {
  const json = parseJsonWords(s.rest);
  if (json === 'not strings') {
    throw s.fail('when using JSON array syntax, arrays must be comprised of strings only');
  }
  if (json) return { form: 'exec', words: json };
  if (s.rest === '') throw s.fail(`${s.name} requires at least one argument`);
  return { form: 'shell', words: [s.rest] };
}

import { invalidArgument } from '@atoll/errors';

type RunConfig = Record<string, unknown>;
type Change = (config: RunConfig, argument: string) => void;

const SHELL = ['/bin/sh', '-c'];

/** What `--change` may say: the instructions of a Dockerfile that only touch the config. */
const CHANGES: Readonly<Record<string, Change>> = {
  CMD: (config, argument) => {
    config['Cmd'] = execForm(argument) ?? [...SHELL, argument];
  },
  ENTRYPOINT: (config, argument) => {
    config['Entrypoint'] = execForm(argument) ?? [...SHELL, argument];
  },
  ENV: (config, argument) => {
    const env = new Map(
      ((config['Env'] as string[] | undefined) ?? []).map((pair) => [pair.split('=', 1)[0] ?? '', pair]),
    );
    for (const [name, value] of pairs('ENV', argument)) env.set(name, `${name}=${value}`);
    config['Env'] = [...env.values()];
  },
  LABEL: (config, argument) => {
    config['Labels'] = { ...(config['Labels'] as object | undefined), ...Object.fromEntries(pairs('LABEL', argument)) };
  },
  EXPOSE: (config, argument) => {
    const ports = words(argument).map((port) => {
      const match = /^(\d{1,5}(?:-\d{1,5})?)(?:\/(tcp|udp|sctp))?$/i.exec(port);
      if (match === null) throw invalidArgument(`EXPOSE: "${port}" is no port; write port or port/protocol`);
      return `${match[1]}/${(match[2] ?? 'tcp').toLowerCase()}`;
    });
    config['ExposedPorts'] = keys(config['ExposedPorts'], ports);
  },
  VOLUME: (config, argument) => {
    config['Volumes'] = keys(config['Volumes'], execForm(argument) ?? words(argument));
  },
  USER: (config, argument) => {
    config['User'] = argument;
  },
  WORKDIR: (config, argument) => {
    const base = (config['WorkingDir'] as string | undefined) ?? '/';
    config['WorkingDir'] = argument.startsWith('/') ? argument : `${base.replace(/\/$/, '')}/${argument}`;
  },
  STOPSIGNAL: (config, argument) => {
    config['StopSignal'] = argument;
  },
  ONBUILD: (config, argument) => {
    config['OnBuild'] = [...((config['OnBuild'] as string[] | undefined) ?? []), argument];
  },
  HEALTHCHECK: (config, argument) => {
    config['Healthcheck'] = healthcheck(argument);
  },
};

/** The run config of an image made with these Dockerfile lines. Errors: invalid-argument naming the line. */
export function applyChanges(lines: readonly string[]): RunConfig {
  const config: RunConfig = {};
  for (const line of lines.flatMap((text) => text.split('\n'))) {
    const match = /^\s*([A-Za-z]+)\s+(.*\S)\s*$/.exec(line);
    if (match === null) {
      if (line.trim() === '') continue;
      throw invalidArgument(`the change "${line.slice(0, 100)}" is no instruction`);
    }
    const name = (match[1] ?? '').toUpperCase();
    const change = Object.hasOwn(CHANGES, name) ? CHANGES[name] : undefined;
    if (change === undefined) throw invalidArgument(`${name} is not a valid change command`);
    change(config, match[2] ?? '');
  }
  return config;
}

function execForm(argument: string): string[] | undefined {
  if (!argument.startsWith('[')) return undefined;
  try {
    const value: unknown = JSON.parse(argument);
    return Array.isArray(value) && value.every((part) => typeof part === 'string') ? value : undefined;
  } catch {
    return undefined;
  }
}

function keys(known: unknown, names: readonly string[]): Record<string, object> {
  return { ...(known as Record<string, object> | undefined), ...Object.fromEntries(names.map((name) => [name, {}])) };
}

/** Words of a line; quotes keep blanks together, a backslash quotes one character. */
function words(text: string): string[] {
  const found: string[] = [];
  for (const match of text.matchAll(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/g)) {
    found.push(
      match[0].replace(/\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/g, (_all, plain, double, single) =>
        double !== undefined ? double.replace(/\\(.)/g, '$1') : (plain ?? single ?? ''),
      ),
    );
  }
  return found;
}

/** `a=b c="d e"`, or the old `a rest of the line`. */
function pairs(instruction: string, argument: string): [string, string][] {
  const all = words(argument);
  const first = all[0] ?? '';
  if (!first.includes('=')) {
    const rest = argument.slice(argument.search(/\s/)).trim();
    if (all.length < 2) throw invalidArgument(`${instruction} must have two arguments`);
    return [[first, rest]];
  }
  return all.map((word) => {
    const at = word.indexOf('=');
    if (at < 1) throw invalidArgument(`Syntax error - can't find = in "${word}". Must be of the form: name=value`);
    return [word.slice(0, at), word.slice(at + 1)];
  });
}

const DURATIONS: Readonly<Record<string, string>> = {
  interval: 'Interval',
  timeout: 'Timeout',
  'start-period': 'StartPeriod',
  'start-interval': 'StartInterval',
};
const NANOSECONDS: Readonly<Record<string, number>> = { ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

function healthcheck(argument: string): Record<string, unknown> {
  const check: Record<string, unknown> = {};
  let rest = argument;
  for (let match = option(rest); match !== null; match = option(rest)) {
    const [all, name = '', value = ''] = match;
    const field = DURATIONS[name];
    if (field !== undefined) check[field] = duration(name, value);
    else if (name === 'retries' && /^\d{1,6}$/.test(value)) check['Retries'] = Number(value);
    else throw invalidArgument(`HEALTHCHECK: unknown or wrong option --${name}=${value}`);
    rest = rest.slice(all.length);
  }
  const [, kind, command = ''] = /^(NONE|CMD)(?:\s+(.*))?$/i.exec(rest) ?? [];
  if (kind?.toUpperCase() === 'NONE') return { Test: ['NONE'] };
  if (kind === undefined || command === '') throw invalidArgument('HEALTHCHECK needs NONE or CMD and a command');
  const exec = execForm(command);
  return { ...check, Test: exec === undefined ? ['CMD-SHELL', command] : ['CMD', ...exec] };
}

function option(text: string): RegExpExecArray | null {
  return /^--([a-z-]+)=(\S+)\s+/.exec(text);
}

function duration(name: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.map(([all]) => all).join('') !== text || parts.length === 0) {
    throw invalidArgument(`HEALTHCHECK: --${name}=${text} is no duration; write 30s or 1m30s`);
  }
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (NANOSECONDS[unit ?? ''] ?? 0), 0);
}

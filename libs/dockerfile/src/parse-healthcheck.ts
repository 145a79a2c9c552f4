import { parseDuration } from './duration.ts';
import type { HealthcheckInstruction } from './instructions.ts';
import type { Statement } from './statement.ts';
import { parseJsonWords } from './words.ts';

const MINIMUM_NS = 1_000_000;

export function parseHealthcheck(s: Statement): HealthcheckInstruction {
  const [word = ''] = s.rest.split(/\s/u, 1);
  const type = word.toUpperCase();
  const rest = s.rest.slice(word.length).trim();
  if (type === '') throw s.fail('HEALTHCHECK requires at least one argument');
  const none = { interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 };
  if (type === 'NONE') {
    if (rest !== '') throw s.fail('HEALTHCHECK NONE takes no arguments');
    s.flag({});
    return { ...s.at, kind: 'HEALTHCHECK', check: { ...none, test: ['NONE'] } };
  }
  const flags = s.flag({
    interval: 'string',
    timeout: 'string',
    'start-period': 'string',
    'start-interval': 'string',
    retries: 'string',
  });
  if (type !== 'CMD') throw s.fail(`Unknown type "${type}" in HEALTHCHECK (try CMD)`);
  const json = parseJsonWords(rest);
  if (json === 'not strings') throw s.fail('when using JSON array syntax, arrays must be comprised of strings only');
  if (rest === '' || json?.length === 0) throw s.fail('Missing command after HEALTHCHECK CMD');
  const check = {
    test: json ? ['CMD', ...json] : ['CMD-SHELL', rest],
    interval: duration(s, 'interval', flags),
    timeout: duration(s, 'timeout', flags),
    startPeriod: duration(s, 'start-period', flags),
    startInterval: duration(s, 'start-interval', flags),
    retries: retries(s, flags.get('retries')),
  };
  return { ...s.at, kind: 'HEALTHCHECK', check };
}

function duration(s: Statement, name: string, flags: ReadonlyMap<string, string>): number {
  const text = flags.get(name) ?? '';
  if (text === '') return 0;
  const value = parseDuration(text);
  if (value === undefined) throw s.fail(`time: invalid duration "${text}"`);
  if (value !== 0 && value < MINIMUM_NS) throw s.fail(`Interval "${name}" cannot be less than 1ms`);
  return value;
}

function retries(s: Statement, text: string | undefined): number {
  if (text === undefined || text === '') return 0;
  if (!/^[-+]?\d{1,9}$/.test(text)) throw s.fail(`invalid value "${text}" for --retries`);
  if (Number(text) < 0) throw s.fail(`--retries cannot be negative (${Number(text)})`);
  return Number(text);
}

import { constants } from 'node:os';
import { invalidArgument } from '@atoll/errors';

const NUMBERS: ReadonlyMap<string, number> = new Map(Object.entries(constants.signals));
const SIGRTMIN = 34;
const SIGRTMAX = 64;

export const SIGKILL = 9;
export const SIGTERM = 15;

/** Number of a signal given as Docker takes it: `TERM`, `SIGTERM`, `15`, `RTMIN+3`. Throws invalid-argument. */
export function signalNumber(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, '');
  const known = /^\d+$/.test(name) ? Number(name) : (NUMBERS.get(`SIG${name}`) ?? realtime(name));
  if (known === undefined || known < 1 || known > SIGRTMAX) throw invalidArgument(`Invalid signal: ${text}`);
  return known;
}

function realtime(name: string): number | undefined {
  const match = /^RT(MIN|MAX)([+-]\d+)?$/.exec(name);
  if (!match) return undefined;
  const number = (match[1] === 'MIN' ? SIGRTMIN : SIGRTMAX) + Number(match[2] ?? 0);
  return number >= SIGRTMIN && number <= SIGRTMAX ? number : undefined;
}

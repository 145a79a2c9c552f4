import { constants } from 'node:os';
import { invalidArgument } from '@atoll/errors';

const SIGRTMIN = 34;
const SIGRTMAX = 64;

/** The number of a signal given as Docker takes it: `SIGTERM`, `term`, `15`, `RTMIN+3`. Errors: invalid-argument with Docker's text. */
export function signalNumber(text: string): number {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    if (number >= 1 && number <= SIGRTMAX) return number;
    throw invalidArgument(`Invalid signal: ${text}`);
  }
  const name = text.toUpperCase().replace(/^SIG/, '');
  const known = (constants.signals as Readonly<Record<string, number | undefined>>)[`SIG${name}`];
  if (known !== undefined) return known;
  const realtime = /^RTM(IN|AX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (realtime) {
    const offset = Number(realtime[3] ?? 0) * (realtime[2] === '-' ? -1 : 1);
    const number = (realtime[1] === 'IN' ? SIGRTMIN : SIGRTMAX) + offset;
    if (number >= SIGRTMIN && number <= SIGRTMAX) return number;
  }
  throw invalidArgument(`Invalid signal: ${text}`);
}

/** Is this kill a wish that the container stays down? SIGKILL and the container's stop signal are; a SIGHUP is not. */
export function isKillSignal(signal: string, stopSignal: string): boolean {
  const number = signalNumber(signal);
  return number === constants.signals.SIGKILL || number === signalNumber(stopSignal || 'TERM');
}

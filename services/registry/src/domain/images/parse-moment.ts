import { invalidArgument } from '@atoll/errors';

const UNITS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1e3, m: 60e3, h: 3600e3 };
const DURATION = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/;

/**
 * A moment as Docker's filters write it: a duration before now (`24h`, `1h30m`), unix seconds, or RFC 3339 with as much of
 * it as given. Unix milliseconds. Errors: invalid-argument.
 */
export function parseMoment(text: string, now: number): number {
  if (DURATION.test(text)) {
    const parts = text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g);
    return now - [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ''] ?? 0), 0);
  }
  if (/^-?\d{1,12}(?:\.\d{1,9})?$/.test(text)) return Number(text) * 1000;
  if (/^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2})?)?$/.test(text)) {
    const moment = Date.parse(text);
    if (!Number.isNaN(moment)) return moment;
  }
  throw invalidArgument(`"${text.slice(0, 64)}" is no time: write a duration (24h), unix seconds or RFC 3339`);
}

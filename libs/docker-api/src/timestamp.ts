import { invalidArgument } from '@atoll/errors';

const NANOS = 1_000_000_000n;
const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/**
 * A point in time as docker's `since` and `until` take it: unix seconds with up to nine decimals, an RFC 3339 date or
 * date and time (local time zone of the daemon is UTC), or a Go duration back from now (`1h30m`).
 * @returns nanoseconds since 1970
 * @throws invalid-argument
 */
export function parseTimestamp(text: string, field: string, nowMs: number = Date.now()): bigint {
  const unix = /^(-?\d+)(?:\.(\d{1,9}))?$/.exec(text);
  if (unix !== null) return BigInt(unix[1] ?? 0) * NANOS + BigInt((unix[2] ?? '').padEnd(9, '0'));
  const duration = parseGoDuration(text);
  if (duration !== undefined) return BigInt(nowMs) * 1_000_000n - duration;
  const rfc = /^(\d{4}-\d\d-\d\d)(?:T(\d\d(?::\d\d(?::\d\d)?)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?)?$/.exec(text);
  if (rfc !== null) {
    const time = (rfc[2] ?? '00:00:00').padEnd(8, ':00');
    const ms = Date.parse(`${rfc[1]}T${time}${rfc[4] ?? 'Z'}`);
    if (!Number.isNaN(ms)) return BigInt(ms) * 1_000_000n + BigInt((rfc[3] ?? '').padEnd(9, '0'));
  }
  throw invalidArgument(`invalid value for "${field}": "${text}" is neither unix seconds, RFC 3339 nor a duration`);
}

/** `1h2m3.5s` in nanoseconds; undefined when it is not a Go duration. */
export function parseGoDuration(text: string): bigint | undefined {
  if (!/^-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let total = 0;
  for (const part of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(part[1]) * (UNITS[part[2] ?? ''] ?? 0);
  }
  return BigInt(Math.round(text.startsWith('-') ? -total : total));
}

/** Go's zero time, which docker sends for "never". */
export const ZERO_TIME = '0001-01-01T00:00:00Z';

/** RFC 3339 with nanoseconds, trailing zeros dropped as Go's RFC3339Nano does. 0 is Go's zero time. */
export function formatRfc3339Nano(ns: bigint): string {
  if (ns === 0n) return ZERO_TIME;
  return format(ns, (fraction) => fraction.replace(/0+$/, ''));
}

/** As docker prefixes log lines: always nine decimals. */
export function formatLogTime(ns: bigint): string {
  return format(ns, (fraction) => fraction);
}

function format(ns: bigint, trim: (fraction: string) => string): string {
  const nanos = ((ns % NANOS) + NANOS) % NANOS;
  const seconds = (ns - nanos) / NANOS;
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const fraction = trim(nanos.toString().padStart(9, '0'));
  return fraction === '' ? `${whole}Z` : `${whole}.${fraction}Z`;
}

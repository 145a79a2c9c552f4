import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import { DEFAULT_LOG_LIMITS, type LogPlan } from '../runtime/plan.ts';

const UNITS: Readonly<Record<string, bigint>> = { '': 1n, b: 1n, k: 1024n, m: 1024n ** 2n, g: 1024n ** 3n };

/** The shim always has a log; of a container without one it keeps next to nothing. */
const UNREAD = { maxBytes: 65_536n, maxFiles: 1 } as const;

/** Docker's log options `max-size` and `max-file`; bounded also when none is given. Throws invalid-argument. */
export function logPlan(log: containerV1.LogConfig | undefined, directory: string): LogPlan {
  if (log?.type === 'none') return { directory, ...UNREAD };
  const options = log?.config ?? {};
  const size = options['max-size'];
  const files = options['max-file'];
  if (files !== undefined && !/^[1-9]\d{0,3}$/.test(files))
    throw invalidArgument(`invalid value for max-file: "${files}"`);
  return {
    directory,
    maxBytes: size === undefined ? DEFAULT_LOG_LIMITS.maxBytes : parseSize(size),
    maxFiles: files === undefined ? DEFAULT_LOG_LIMITS.maxFiles : Number(files),
  };
}

function parseSize(text: string): bigint {
  const match = /^(\d{1,12})([bkmg]?)b?$/i.exec(text);
  const unit = UNITS[match?.[2]?.toLowerCase() ?? ''];
  if (!match || unit === undefined || Number(match[1]) === 0)
    throw invalidArgument(`invalid value for max-size: "${text}"`);
  return BigInt(match[1] as string) * unit;
}

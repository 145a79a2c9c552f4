import type { Filters } from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';

const MAX_LENGTH = 128;
const MAX_REPEATS = 4;

/** Filters that are patterns, which may match anywhere in a text. @throws invalid-argument */
export function filterPatterns(filters: Filters, name: string): RegExp[] {
  return (filters.get(name) ?? []).map((value) => patternOf(name, value));
}

/** Repeated groups and many repeats are refused: on JavaScript's engine, which tries all ways, they can take for ever. */
function patternOf(name: string, wanted: string): RegExp {
  if (wanted.length > MAX_LENGTH || /\)[*+?{]/.test(wanted) || (wanted.match(/[*+?{]/g)?.length ?? 0) > MAX_REPEATS) {
    throw invalidArgument(
      `invalid filter '${name}=${wanted}': patterns with repeated groups or more than ${MAX_REPEATS} repeats are not supported`,
    );
  }
  try {
    return new RegExp(wanted);
  } catch (cause) {
    throw invalidArgument(`invalid filter '${name}=${wanted}'`, { cause });
  }
}

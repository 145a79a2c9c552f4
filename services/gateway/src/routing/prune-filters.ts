import { type Filters, matchesLabels, parseTimestamp } from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';

export const PRUNE_FILTERS: readonly string[] = ['until', 'label', 'label!'];

/** Nanoseconds since 1970; without the filter later than everything. @throws invalid-argument */
export function untilOf(filters: Filters): bigint {
  const [until, second] = filters.get('until') ?? [];
  if (second !== undefined) throw invalidArgument('more than one until filter specified');
  return until === undefined ? 2n ** 63n : parseTimestamp(until, 'until');
}

export function matchesPruneLabels(filters: Filters, labels: Readonly<Record<string, string>>): boolean {
  if (!matchesLabels(filters.get('label'), labels)) return false;
  // As in docker: kept is what has all of the labels.
  const without = filters.get('label!');
  return without === undefined || !matchesLabels(without, labels);
}

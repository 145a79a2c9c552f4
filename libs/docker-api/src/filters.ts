import { invalidArgument } from '@atoll/errors';
import { parseStrictJson } from './strict-json.ts';

/** Filters of a list call: name -> the values given, any of which may match. */
export type Filters = ReadonlyMap<string, readonly string[]>;

/**
 * The `filters` query parameter: `{"label":["a"]}`, or `{"label":{"a":true}}` as clients before 1.22 sent it.
 * @param accepted the filter names the call knows
 * @throws invalid-argument for malformed filters and, as docker words it, `invalid filter 'x'` for others
 */
export function parseFilters(text: string | undefined, accepted: readonly string[]): Filters {
  const filters = new Map<string, readonly string[]>();
  if (text === undefined || text === '') return filters;
  const value = parseStrictJson(text, 'filters');
  if (!isObject(value)) throw invalidArgument('invalid filters: want an object of filter names');
  for (const [name, values] of Object.entries(value)) {
    if (!accepted.includes(name)) throw invalidArgument(`invalid filter '${name}'`);
    filters.set(name, valuesOf(name, values));
  }
  return filters;
}

function valuesOf(name: string, values: unknown): readonly string[] {
  if (Array.isArray(values) && values.every((value) => typeof value === 'string')) return values;
  if (isObject(values) && Object.values(values).every((value) => typeof value === 'boolean')) {
    return Object.entries(values).flatMap(([value, set]) => (set === true ? [value] : []));
  }
  throw invalidArgument(`invalid filters: '${name}' wants a list of texts`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A boolean filter: `1`, `true`, `0`, `false`. Undefined when it is not given. */
export function booleanFilter(filters: Filters, name: string): boolean | undefined {
  const values = filters.get(name);
  if (values === undefined || values.length === 0) return undefined;
  const all = new Set(values.map((value) => BOOLEANS.get(value.toLowerCase())));
  const [first] = all;
  if (all.size !== 1 || first === undefined) throw invalidArgument(`invalid filter '${name}=${values.join(',')}'`);
  return first;
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['1', true],
  ['true', true],
  ['0', false],
  ['false', false],
]);

/** `label=key` or `label=key=value`, all of which must match. */
export function matchesLabels(
  wanted: readonly string[] | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  return (wanted ?? []).every((entry) => {
    const split = entry.indexOf('=');
    if (split < 0) return Object.hasOwn(labels, entry);
    return labels[entry.slice(0, split)] === entry.slice(split + 1);
  });
}

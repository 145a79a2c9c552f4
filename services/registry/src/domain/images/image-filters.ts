import { invalidArgument } from '@atoll/errors';
import { familiarName, parseReference } from '@atoll/reference';
import type { NameOfImage } from '../records/image-references.ts';
import { globMatcher } from './glob.ts';
import { familiarNameOf } from './image-store.ts';
import type { ImageView } from './image-view.ts';
import { parseMoment } from './parse-moment.ts';

/** Docker's filters: name to the values given. */
export type FilterArguments = ReadonlyMap<string, readonly string[]>;

/** Errors: invalid-argument for a filter that is not among `allowed`. */
export function checkFilters(filters: FilterArguments, allowed: readonly string[]): void {
  for (const name of filters.keys()) {
    if (!allowed.includes(name)) throw invalidArgument(`invalid filter '${name}'`);
  }
}

/** A yes-or-no filter, undefined when it is not given. */
export function flagOf(filters: FilterArguments, name: string): boolean | undefined {
  const values = filters.get(name) ?? [];
  const parsed = values.map((value) => {
    if (['1', 't', 'true', 'True', 'TRUE'].includes(value)) return true;
    if (['0', 'f', 'false', 'False', 'FALSE'].includes(value)) return false;
    throw invalidArgument(`invalid filter '${name}=[${values.join(' ')}]'`);
  });
  if (new Set(parsed).size > 1) throw invalidArgument(`invalid filter '${name}=[${values.join(' ')}]'`);
  return parsed[0];
}

/** Whether the image has every label asked for (`label=key`, `label=key=value`) and none of `label!=`. */
export function matchesLabels(filters: FilterArguments, labels: Readonly<Record<string, string>>): boolean {
  const has = (wanted: string): boolean => {
    const at = wanted.indexOf('=');
    if (at < 0) return Object.hasOwn(labels, wanted);
    return Object.hasOwn(labels, wanted.slice(0, at)) && labels[wanted.slice(0, at)] === wanted.slice(at + 1);
  };
  return (filters.get('label') ?? []).every(has) && !(filters.get('label!') ?? []).some(has);
}

/** The moment before which an image has to have been created, unix milliseconds; undefined when it does not matter. */
export function untilOf(filters: FilterArguments, now: number): number | undefined {
  const values = filters.get('until') ?? [];
  if (values.length > 1) throw invalidArgument('more than one until filter specified');
  return values[0] === undefined ? undefined : parseMoment(values[0], now);
}

/** Which names of an image `reference` filters let through; all of them without such a filter. */
export function nameMatcher(filters: FilterArguments): (name: NameOfImage) => boolean {
  const matchers = (filters.get('reference') ?? []).map(globMatcher);
  if (matchers.length === 0) return () => true;
  return (name) => {
    const repository = familiarName(parseReference(name.repository));
    const whole = familiarNameOf(name);
    return matchers.some((matches) => matches(whole) || matches(repository));
  };
}

export function labelsOf(image: ImageView): Readonly<Record<string, string>> {
  return image.config.config.Labels ?? {};
}

import { OciError } from './oci-error.ts';

const MAX_PAGE = 1_000;

export interface Page {
  readonly items: readonly string[];
  /** Value of the Link header when there is more. */
  readonly link: string | undefined;
}

/** One page of names in the order of the specification (by bytes), after `last`. Errors: PAGINATION_NUMBER_INVALID. */
export function pageOf(names: Iterable<string>, path: string, query: URLSearchParams): Page {
  const wanted = query.get('n');
  if (wanted !== null && !/^\d{1,12}$/.test(wanted)) {
    throw new OciError('PAGINATION_NUMBER_INVALID', 'n has to be a number of at least 0');
  }
  const limit = Math.min(wanted === null ? MAX_PAGE : Number(wanted), MAX_PAGE);
  const last = query.get('last');
  const sorted = [...names].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const after = last === null ? sorted : sorted.filter((name) => name > last);
  const items = after.slice(0, limit);
  const end = items.at(-1);
  if (end === undefined || items.length === after.length) return { items, link: undefined };
  const next = new URLSearchParams({ n: String(limit), last: end });
  return { items, link: `<${path}?${next}>; rel="next"` };
}

import type { FeedItem, FeedSource } from '../feed-source.ts';

/** Reads a source until `last` says so; fails after 10 s. */
export async function collect(
  source: FeedSource,
  after: bigint,
  last: (item: FeedItem) => boolean,
): Promise<FeedItem[]> {
  const stop = new AbortController();
  const items: FeedItem[] = [];
  for await (const item of source.open(after, AbortSignal.any([stop.signal, AbortSignal.timeout(10_000)]))) {
    items.push(item);
    if (last(item)) {
      stop.abort();
      return items;
    }
  }
  throw new Error(`the source ended after ${items.length} items`);
}

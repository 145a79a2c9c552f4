import type { containerV1, nodeV1 } from '@atoll/proto';
import { statusText, statusTextLastsUntil } from './container-state.ts';
import type { ContainerView } from './container-view.ts';
import { summaryObject } from './list-view.ts';

interface Entry {
  readonly status: containerV1.ContainerStatus | undefined;
  readonly node: nodeV1.NodeRecord | undefined;
  /** The entry as JSON but for the value of its last property, which is how long it has been so. */
  readonly lasting: Buffer;
  /** That value and the closing brace. */
  words: Buffer;
  /** Unix ms; the words hold from then, and until then. The clock may be set back. */
  from: number;
  until: number;
}

interface Answer {
  readonly views: readonly ContainerView[];
  readonly body: Buffer;
  readonly from: number;
  readonly until: number;
}

/**
 * Container lists as bytes. What an entry is made of changes seldom, and to make it anew is most of a list's time; what is kept goes
 * with the record it belongs to.
 */
export class SummaryTexts {
  readonly #entries = new WeakMap<containerV1.ContainerRecord, Entry>();
  /** The last list, for those who ask again and again. */
  #answer: Answer | undefined;

  /** The JSON array of the containers, with a line end. `views` must not change afterwards. */
  list(views: readonly ContainerView[], nowMs: number): Buffer {
    const last = this.#answer;
    if (last && last.from <= nowMs && nowMs < last.until && isSame(last.views, views)) return last.body;
    const entries = views.map((view) => this.#entry(view, nowMs));
    const body = joined(entries);
    const until = entries.reduce((least, entry) => Math.min(least, entry.until), Number.POSITIVE_INFINITY);
    this.#answer = { views, body, from: nowMs, until };
    return body;
  }

  #entry(view: ContainerView, nowMs: number): Entry {
    const { record, status, node } = view;
    let entry = this.#entries.get(record);
    if (!entry || entry.status !== status || entry.node !== node) {
      const { Status: _, ...rest } = summaryObject(view, nowMs, undefined);
      const lasting = Buffer.from(`${JSON.stringify(rest).slice(0, -1)},"Status":`);
      entry = { status, node, lasting, words: NONE, from: 0, until: 0 };
      this.#entries.set(record, entry);
    }
    if (nowMs < entry.from || nowMs >= entry.until) {
      entry.from = nowMs;
      entry.words = Buffer.from(`${JSON.stringify(statusText(view, nowMs))}}`);
      entry.until = statusTextLastsUntil(view, nowMs);
    }
    return entry;
  }
}

const NONE = Buffer.alloc(0);

/** A JSON array and a line end. Bytes are copied: joining strings and encoding them takes six times as long. */
function joined(entries: readonly Entry[]): Buffer {
  const size = entries.reduce((sum, { lasting, words }) => sum + lasting.length + words.length + 1, 2);
  const body = Buffer.allocUnsafe(Math.max(size, 3));
  let at = body.write('[');
  for (const [index, { lasting, words }] of entries.entries()) {
    if (index > 0) at += body.write(',', at);
    at += lasting.copy(body, at);
    at += words.copy(body, at);
  }
  at += body.write(']\n', at);
  return body.subarray(0, at);
}

/** Views are made anew when anything of them changes. */
function isSame(a: readonly ContainerView[], b: readonly ContainerView[]): boolean {
  return a.length === b.length && a.every((view, at) => view === b[at]);
}

import type { containerV1, nodeV1 } from '@atoll/proto';
import { statusText, statusTextLastsUntil } from './container-state.ts';
import type { ContainerView } from './container-view.ts';
import { summaryObject } from './list-view.ts';

interface Entry {
  readonly status: containerV1.ContainerStatus | undefined;
  readonly node: nodeV1.NodeRecord | undefined;
  /** All but the closing brace, and but how long it has been so. */
  readonly lasting: string;
  /** The whole entry. */
  text: string;
  /** Unix ms; `text` holds from then, and until then. The clock may be set back. */
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
 * Container lists as text. What an entry is made of changes seldom, and to make it anew is most of a list's time; what is kept goes
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
    let until = Number.POSITIVE_INFINITY;
    const texts: string[] = [];
    for (const view of views) {
      const entry = this.#entry(view, nowMs);
      texts.push(entry.text);
      if (entry.until < until) until = entry.until;
    }
    const body = Buffer.from(`[${texts.join(',')}]\n`);
    this.#answer = { views, body, from: nowMs, until };
    return body;
  }

  #entry(view: ContainerView, nowMs: number): Entry {
    const { record, status, node } = view;
    let entry = this.#entries.get(record);
    if (!entry || entry.status !== status || entry.node !== node) {
      const { Status: _, ...lasting } = summaryObject(view, nowMs, undefined);
      entry = { status, node, lasting: JSON.stringify(lasting).slice(0, -1), text: '', from: 0, until: 0 };
      this.#entries.set(record, entry);
    }
    if (nowMs < entry.from || nowMs >= entry.until) {
      entry.from = nowMs;
      entry.text = `${entry.lasting},"Status":${JSON.stringify(statusText(view, nowMs))}}`;
      entry.until = statusTextLastsUntil(view, nowMs);
    }
    return entry;
  }
}

/** Views are made anew when anything of them changes. */
function isSame(a: readonly ContainerView[], b: readonly ContainerView[]): boolean {
  return a.length === b.length && a.every((view, at) => view === b[at]);
}

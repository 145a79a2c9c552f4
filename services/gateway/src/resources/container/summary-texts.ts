import type { containerV1, nodeV1 } from '@atoll/proto';
import { statusText } from './container-state.ts';
import type { ContainerView } from './container-view.ts';
import { summaryObject } from './list-view.ts';

interface Known {
  readonly status: containerV1.ContainerStatus | undefined;
  readonly node: nodeV1.NodeRecord | undefined;
  /** All but the closing brace, and but how long it has been so. */
  readonly text: string;
}

/**
 * Entries of container lists as text. What an entry is made of changes seldom, and to make it anew is most of a list's time; what is
 * kept goes with the record it belongs to.
 */
export class SummaryTexts {
  readonly #known = new WeakMap<containerV1.ContainerRecord, Known>();

  text(view: ContainerView, nowMs: number): string {
    const { record, status, node } = view;
    let known = this.#known.get(record);
    if (!known || known.status !== status || known.node !== node) {
      const { Status: _, ...lasting } = summaryObject(view, nowMs, undefined);
      known = { status, node, text: JSON.stringify(lasting).slice(0, -1) };
      this.#known.set(record, known);
    }
    return `${known.text},"Status":${JSON.stringify(statusText(view, nowMs))}}`;
  }
}

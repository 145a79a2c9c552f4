import { type DesiredContainer, survivesItsHost } from './container.ts';

export type LossStep =
  /** Find another host for it. */
  | { readonly kind: 'replace'; readonly id: string }
  /** It stays where it was; people are told it is lost, and why it does not move when it otherwise would. */
  | { readonly kind: 'lose'; readonly id: string; readonly why: string };

/** What becomes of the containers of a host that is lost (or drained). */
export function planNodeLoss(records: Iterable<DesiredContainer>): LossStep[] {
  const steps: LossStep[] = [];
  for (const record of records) {
    if (record.desired === 'removed') continue;
    if (record.desired !== 'running' || !survivesItsHost(record)) {
      steps.push({ kind: 'lose', id: record.id, why: '' });
    } else if (record.tiedTo !== undefined) {
      steps.push({ kind: 'lose', id: record.id, why: `${record.tiedTo} exists only there` });
    } else {
      steps.push({ kind: 'replace', id: record.id });
    }
  }
  return steps;
}

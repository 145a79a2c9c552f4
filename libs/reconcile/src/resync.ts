import { type DesiredContainer, type ReportedContainer, survivesItsHost } from './container.ts';

/** One thing to do for a host that has just told all it has. */
export type ResyncStep =
  /** The host lacks it or follows an older record. */
  | { readonly kind: 'ensure'; readonly id: string }
  | { readonly kind: 'start'; readonly id: string }
  | { readonly kind: 'stop'; readonly id: string }
  /** Explicit tombstone: the record says so, or the record is another host's now. */
  | { readonly kind: 'remove'; readonly id: string; readonly why: 'removed' | 'placed-elsewhere' }
  /** The host has no trace of it and it is not wanted either: its record can go. */
  | { readonly kind: 'forget'; readonly id: string }
  /** Nobody knows it: it stays as it is, and somebody is told. */
  | { readonly kind: 'leave'; readonly id: string };

export interface ResyncInput {
  readonly nodeId: string;
  readonly records: ReadonlyMap<string, DesiredContainer>;
  readonly reported: readonly ReportedContainer[];
  /** Was an explicit deletion of this id seen? */
  readonly isTombstoned: (id: string) => boolean;
}

/**
 * What to tell a host whose session begins. Removes nothing without an explicit reason, and starts nothing a second time: what
 * ran and is gone is started again only when its restart policy says so.
 */
export function planResync(input: ResyncInput): ResyncStep[] {
  const steps: ResyncStep[] = [];
  const has = new Map(input.reported.map((container) => [container.id, container]));
  for (const container of has.values()) {
    const record = input.records.get(container.id);
    if (!record) {
      steps.push(
        input.isTombstoned(container.id)
          ? { kind: 'remove', id: container.id, why: 'removed' }
          : { kind: 'leave', id: container.id },
      );
    } else if (record.nodeId !== input.nodeId) {
      steps.push({ kind: 'remove', id: container.id, why: 'placed-elsewhere' });
    } else if (record.desired === 'removed' || (record.autoRemove && container.state === 'exited')) {
      steps.push({ kind: 'remove', id: container.id, why: 'removed' });
    } else {
      steps.push(...followed(record, container));
    }
  }
  for (const record of input.records.values()) {
    if (record.nodeId === input.nodeId && !has.has(record.id)) steps.push(...missing(record));
  }
  // Stale copies go first: their names, ports and memory may be needed by what comes after.
  const rank = (step: ResyncStep): number => (step.kind === 'remove' ? 0 : 1);
  return steps.sort((a, b) => rank(a) - rank(b));
}

function followed(record: DesiredContainer, container: ReportedContainer): ResyncStep[] {
  const { id } = record;
  const steps: ResyncStep[] = container.generation < record.generation ? [{ kind: 'ensure', id }] : [];
  const begun = container.state !== 'creating' && container.state !== 'created';
  if (record.desired === 'running' && !begun) steps.push({ kind: 'start', id });
  const active = container.state === 'running' || container.state === 'paused' || container.state === 'restarting';
  if (record.desired === 'stopped' && active) steps.push({ kind: 'stop', id });
  return steps;
}

function missing(record: DesiredContainer): ResyncStep[] {
  const { id } = record;
  if (record.desired === 'removed') return [{ kind: 'forget', id }];
  if (record.autoRemove && record.desired !== 'created') return [{ kind: 'forget', id }];
  const steps: ResyncStep[] = [{ kind: 'ensure', id }];
  if (record.desired === 'running' && survivesItsHost(record)) steps.push({ kind: 'start', id });
  return steps;
}

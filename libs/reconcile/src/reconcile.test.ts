import { describe, expect, test } from 'vitest';
import { type DesiredContainer, planNodeLoss, planResync, type ReportedContainer } from './index.ts';

const record = (change: Partial<DesiredContainer> = {}): DesiredContainer => ({
  id: 'c',
  nodeId: 'h1',
  desired: 'created',
  generation: 3n,
  restart: 'no',
  autoRemove: false,
  tiedTo: undefined,
  ...change,
});
const report = (state: ReportedContainer['state'], generation = 3n): ReportedContainer => ({
  id: 'c',
  state,
  generation,
});

function plan(
  records: readonly DesiredContainer[],
  reported: readonly ReportedContainer[],
  tombstones: readonly string[] = [],
): string[] {
  const steps = planResync({
    nodeId: 'h1',
    records: new Map(records.map((one) => [one.id, one])),
    reported,
    isTombstoned: (id) => tombstones.includes(id),
  });
  return steps.map((step) => `${step.kind} ${step.id}${'why' in step ? ` (${step.why})` : ''}`);
}

describe('resync', () => {
  test.each([
    ['has what is wanted', [record()], [report('created')], []],
    ['lacks a created container', [record()], [], ['ensure c']],
    [
      'lacks a container that ran, without restart policy: not started twice',
      [record({ desired: 'running' })],
      [],
      ['ensure c'],
    ],
    [
      'lacks a container that is always restarted',
      [record({ desired: 'running', restart: 'always' })],
      [],
      ['ensure c', 'start c'],
    ],
    [
      'lacks a stopped one that would be restarted',
      [record({ desired: 'stopped', restart: 'always' })],
      [],
      ['ensure c'],
    ],
    ['lacks what is being removed', [record({ desired: 'removed' })], [], ['forget c']],
    [
      'lacks an auto-remove container that had started',
      [record({ desired: 'running', autoRemove: true })],
      [],
      ['forget c'],
    ],
    ['missed the start', [record({ desired: 'running' })], [report('created')], ['start c']],
    ['missed an update', [record({ generation: 4n })], [report('running')], ['ensure c']],
    [
      'missed an update and the start',
      [record({ desired: 'running', generation: 4n })],
      [report('creating')],
      ['ensure c', 'start c'],
    ],
    [
      'has an exited container: restart is its own business',
      [record({ desired: 'running', restart: 'always' })],
      [report('exited')],
      [],
    ],
    ['missed the stop', [record({ desired: 'stopped' })], [report('running')], ['stop c']],
    ['missed the stop of a paused one', [record({ desired: 'stopped' })], [report('paused')], ['stop c']],
    ['runs what nobody asked to start: left alone', [record()], [report('running')], []],
    ['missed the removal', [record({ desired: 'removed' })], [report('running')], ['remove c (removed)']],
    [
      'kept an exited auto-remove container',
      [record({ desired: 'running', autoRemove: true })],
      [report('exited')],
      ['remove c (removed)'],
    ],
    [
      'has a copy of what was placed elsewhere',
      [record({ nodeId: 'h2', desired: 'running' })],
      [report('running')],
      ['remove c (placed-elsewhere)'],
    ],
    ['has what nobody knows', [], [report('running')], ['leave c']],
  ] as const)('a host that %s', (_name, records, reported, want) => {
    expect(plan(records, reported)).toEqual(want);
  });

  test('a tombstone seen is a reason to remove, its absence is none', () => {
    expect(plan([], [report('running')], ['c'])).toEqual(['remove c (removed)']);
    expect(plan([], [report('running')], ['d'])).toEqual(['leave c']);
  });

  test('an empty desired state never removes anything', () => {
    const reported = ['a', 'b', 'c'].map((id) => ({ ...report('running'), id }));
    expect(plan([], reported)).toEqual(['leave a', 'leave b', 'leave c']);
  });

  test('removals come first', () => {
    const records = [record({ id: 'a' }), record({ id: 'b', nodeId: 'h2' })];
    expect(plan(records, [{ ...report('running'), id: 'b' }])).toEqual(['remove b (placed-elsewhere)', 'ensure a']);
  });
});

describe('node loss', () => {
  test.each([
    ['always', 'running', undefined, 'replace'],
    ['unless-stopped', 'running', undefined, 'replace'],
    ['on-failure', 'running', undefined, 'lose'],
    ['no', 'running', undefined, 'lose'],
    ['always', 'stopped', undefined, 'lose'],
    ['always', 'created', undefined, 'lose'],
    ['always', 'running', 'volume data', 'lose'],
  ] as const)('restart %s, desired %s, tied to %s: %s', (restart, desired, tiedTo, want) => {
    const steps = planNodeLoss([record({ restart, desired, tiedTo })]);
    expect(steps.map((step) => step.kind)).toEqual([want]);
    if (tiedTo && steps[0]?.kind === 'lose') expect(steps[0].why).toContain(tiedTo);
  });

  test('what is being removed is not looked at', () => {
    expect(planNodeLoss([record({ desired: 'removed', restart: 'always' })])).toEqual([]);
  });
});

import { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { CONTAINER_STATUSES, CONTAINERS } from './collection.ts';
import { Mirror, type MirrorChange } from './mirror.ts';

type Record = containerV1.ContainerRecord;
const record = (name: string): Record => containerV1.ContainerRecord.fromPartial({ id: 'a', spec: { name } });
const put = (name: string, revision: bigint) =>
  ({ kind: 'put', key: 'container.a', value: CONTAINERS.encode(record(name)), revision }) as const;
const gone = (revision: bigint) => ({ kind: 'delete', key: 'container.a', revision }) as const;
const nameOf = (mirror: Mirror<Record>): string | undefined => mirror.get('a')?.spec?.name;

describe('what is newer wins, whichever way it came', () => {
  test.each([
    [
      'an answer before the feed',
      (m: Mirror<Record>) => [m.apply('a', record('new'), 5n), m.deliver(put('old', 4n), 'a')],
      'new',
    ],
    [
      'an answer after the feed',
      (m: Mirror<Record>) => [m.deliver(put('new', 5n), 'a'), m.apply('a', record('old'), 4n)],
      'new',
    ],
    ['the same twice', (m: Mirror<Record>) => [m.apply('a', record('new'), 5n), m.deliver(put('new', 5n), 'a')], 'new'],
    [
      'a deletion answered, then the old value fed',
      (m: Mirror<Record>) => [m.apply('a', undefined, 5n), m.deliver(put('old', 4n), 'a')],
      undefined,
    ],
    [
      'a deletion fed, then an old answer',
      (m: Mirror<Record>) => [m.deliver(gone(5n), 'a'), m.apply('a', record('old'), 4n)],
      undefined,
    ],
    ['a late deletion', (m: Mirror<Record>) => [m.deliver(put('new', 6n), 'a'), m.apply('a', undefined, 5n)], 'new'],
    [
      'made anew after a deletion',
      (m: Mirror<Record>) => [m.deliver(gone(5n), 'a'), m.deliver(put('new', 6n), 'a')],
      'new',
    ],
  ])('%s', (_name, happen, want) => {
    const mirror = new Mirror(CONTAINERS);
    happen(mirror);
    expect(nameOf(mirror)).toBe(want);
  });

  test('a value knows the revision it was stored at', () => {
    const mirror = new Mirror(CONTAINERS);
    mirror.deliver(put('x', 7n), 'a');
    expect(mirror.get('a')?.revision).toBe(7n);
    expect(mirror.revisionOf('a')).toBe(7n);
  });
});

describe('statuses are ordered by themselves', () => {
  const status = (nodeId: string, seq: bigint, generation = 1n) =>
    containerV1.ContainerStatus.fromPartial({ id: 'a', nodeId, seq, generation });
  test.each([
    ['an older one of the same node loses', status('h1', 5n), status('h1', 4n), false],
    ['a newer one of the same node wins', status('h1', 5n), status('h1', 6n), true],
    ['the scheduler starts again from nothing', status('h1', 5n), status('h1', 0n), true],
    ['another host after a move wins', status('h1', 50n, 3n), status('h2', 1n, 4n), true],
    ['the old host after a move loses', status('h2', 1n, 4n), status('h1', 51n, 3n), false],
  ])('%s', (_name, current, next, wins) => {
    const mirror = new Mirror(CONTAINER_STATUSES);
    mirror.apply('a', current, 0n);
    expect(mirror.apply('a', next, 0n)).toBe(wins);
    expect(mirror.get('a')).toEqual(wins ? next : current);
  });

  test('a late answer does not bring back what was deleted', () => {
    const mirror = new Mirror(CONTAINER_STATUSES);
    mirror.apply('a', status('h1', 1n), 0n);
    mirror.deliver(gone(9n), 'a');
    expect(mirror.apply('a', status('h1', 2n), 0n)).toBe(false);
    expect(mirror.get('a')).toBeUndefined();
  });
});

test('listeners hear each change once, with what was before, until they stop', () => {
  const mirror = new Mirror(CONTAINERS);
  const heard: string[] = [];
  const stop = mirror.onChange((change: MirrorChange<Record>) => {
    heard.push(`${change.previous?.spec?.name} -> ${change.value?.spec?.name}`);
  });
  mirror.deliver(put('one', 1n), 'a');
  mirror.deliver(put('one', 1n), 'a');
  mirror.apply('a', record('two'), 2n);
  mirror.deliver(gone(3n), 'a');
  mirror.deliver(gone(3n), 'a');
  stop();
  mirror.deliver(put('four', 4n), 'a');
  expect(heard).toEqual(['undefined -> one', 'one -> two', 'two -> undefined']);
});

test('a value that cannot be read is reported and changes nothing', () => {
  const reports: object[] = [];
  const mirror = new Mirror(CONTAINERS, { info: () => {}, warn: () => {}, error: (fields) => reports.push(fields) });
  mirror.deliver(put('good', 1n), 'a');
  mirror.deliver({ kind: 'put', key: 'container.a', value: new Uint8Array([0xff, 0xff, 0xff]), revision: 2n }, 'a');
  expect(nameOf(mirror)).toBe('good');
  expect(reports).toMatchObject([{ key: 'container.a', revision: '2' }]);
});

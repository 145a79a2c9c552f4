import { containerV1 } from '@atoll/proto';
import { expect, test } from 'vitest';
import type { ContainerView } from './container-view.ts';
import { summaryObject } from './list-view.ts';
import { SummaryTexts } from './summary-texts.ts';

const S = containerV1.ContainerState;
const NOW = 1_700_000_000_000;

function view(state: containerV1.ContainerState, record?: containerV1.ContainerRecord): ContainerView {
  const own =
    record ??
    containerV1.ContainerRecord.fromPartial({ id: 'a'.repeat(64), spec: { name: 'web', process: { cmd: ['true'] } } });
  const spec = own.spec ?? containerV1.ContainerSpec.fromPartial({});
  const status = containerV1.ContainerStatus.fromPartial({
    id: own.id,
    state,
    startedAtNs: BigInt(NOW - 5_000) * 1_000_000n,
    finishedAtNs: BigInt(NOW - 4_000) * 1_000_000n,
  });
  return { record: own, spec, status, node: undefined };
}

const parsed = (texts: SummaryTexts, views: readonly ContainerView[], now: number) =>
  JSON.parse(texts.list(views, now).toString()) as Record<string, unknown>[];

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const later = [
  0,
  1,
  999,
  SECOND,
  1_001,
  54_999,
  55_000,
  MINUTE,
  2 * MINUTE,
  HOUR - 6_000,
  HOUR,
  36 * HOUR + 1,
  900 * HOUR,
];

test.each([
  ['running', S.RUNNING],
  ['paused', S.PAUSED],
  ['exited', S.EXITED],
  ['created', S.CREATED],
  ['dead', S.DEAD],
])('a list of %s containers is what the objects say, however much later it is asked for', (_, state) => {
  const texts = new SummaryTexts();
  const views = [view(state), view(state)];
  for (const passed of later) {
    const now = NOW + passed;
    const expected = views.map((one) => summaryObject(one, now, undefined));
    expect(parsed(texts, views, now)).toEqual(expected);
    expect(parsed(texts, views, now)).toEqual(expected);
  }
  expect(parsed(texts, views, NOW)).toEqual(views.map((one) => summaryObject(one, NOW, undefined)));
});

test('follows a change of the status', () => {
  const texts = new SummaryTexts();
  const running = view(S.RUNNING);
  expect(parsed(texts, [running], NOW)[0]?.['State']).toBe('running');
  const paused = view(S.PAUSED, running.record);
  expect(parsed(texts, [paused], NOW)[0]?.['State']).toBe('paused');
  expect(parsed(texts, [], NOW)).toEqual([]);
});

test('is made once while nothing changes', () => {
  const texts = new SummaryTexts();
  const views = [view(S.RUNNING), view(S.EXITED)];
  const first = texts.list(views, NOW);
  expect(texts.list([...views], NOW + 1)).toBe(first);
  expect(texts.list(views, NOW + SECOND)).not.toBe(first);
});

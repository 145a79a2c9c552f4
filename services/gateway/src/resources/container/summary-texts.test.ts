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
  });
  return { record: own, spec, status, node: undefined };
}

test('is what the object says, with how long it has been so', () => {
  const texts = new SummaryTexts();
  const running = view(S.RUNNING);
  for (const later of [0, 60_000]) {
    expect(JSON.parse(texts.text(running, NOW + later))).toEqual(summaryObject(running, NOW + later, undefined));
  }
  expect(texts.text(running, NOW)).not.toBe(texts.text(running, NOW + 60_000));
});

test('follows a change of the status', () => {
  const texts = new SummaryTexts();
  const running = view(S.RUNNING);
  expect(JSON.parse(texts.text(running, NOW)).State).toBe('running');
  const paused = view(S.PAUSED, running.record);
  expect(JSON.parse(texts.text(paused, NOW)).State).toBe('paused');
});

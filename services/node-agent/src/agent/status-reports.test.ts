import { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { StatusReports } from './status-reports.ts';

const S = containerV1.ContainerState;

function reports() {
  const sent: string[] = [];
  const all = new StatusReports(({ id, seq }) => sent.push(`${id}${seq}`));
  return { sent, all };
}

const status = (id: string, seq: number, state: containerV1.ContainerState = S.RUNNING): containerV1.ContainerStatus =>
  containerV1.ContainerStatus.fromPartial({ id, seq: BigInt(seq), state });

describe('statuses on their way to the leader', () => {
  test('of one moment only the newest of each container is sent', async () => {
    const { sent, all } = reports();
    all.add(status('a', 1));
    all.add(status('b', 1));
    all.add(status('a', 2));
    expect(sent).toEqual([]);
    await expect.poll(() => sent).toEqual(['a2', 'b1']);
  });

  test('an end goes at once, and takes along what was before it', async () => {
    const { sent, all } = reports();
    all.add(status('a', 1));
    all.add(status('a', 2, S.EXITED));
    expect(sent).toEqual(['a2']);
    all.flush();
    expect(sent).toEqual(['a2']);
  });

  test.each([
    ['the same', 2, []],
    ['a newer one', 3, []],
    ['an older one', 1, ['a2']],
  ])('what a result with %s tells is not sent again', (_, seq, expected) => {
    const { sent, all } = reports();
    all.add(status('a', 2));
    all.told(status('a', seq));
    all.flush();
    expect(sent).toEqual(expected);
  });

  test('a result without a status, or of another container, changes nothing', () => {
    const { sent, all } = reports();
    all.add(status('a', 2));
    all.told(undefined);
    all.told(status('b', 9));
    all.flush();
    expect(sent).toEqual(['a2']);
  });

  test('what is dropped is not sent', () => {
    const { sent, all } = reports();
    all.add(status('a', 1));
    all.drop();
    all.flush();
    expect(sent).toEqual([]);
  });
});

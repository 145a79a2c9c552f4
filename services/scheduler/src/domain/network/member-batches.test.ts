import { networkV1 } from '@atoll/proto';
import { expect, test } from 'vitest';
import { memberBatches } from './member-batches.ts';

const members = (count: number, nameLength: number): networkV1.Member[] =>
  Array.from({ length: count }, (_, at) =>
    networkV1.Member.fromPartial({ containerId: String(at), names: ['x'.repeat(nameLength)] }),
  );

test.each([
  ['nobody: one empty piece', 0, 0, 1],
  ['a few', 100, 20, 1],
  ['many', 10_000, 20, 3],
  ['few with long names', 40, 100_000, 4],
  ['a name larger than a piece', 2, 2_000_000, 3],
])('%s', (_name, count, nameLength, pieces) => {
  const all = members(count, nameLength);
  const batches = memberBatches(all);
  expect(batches).toHaveLength(pieces);
  expect(batches.flat()).toEqual(all);
  for (const batch of batches.filter((one) => one.length > 1)) {
    const bytes = batch.reduce((sum, member) => sum + networkV1.Member.encode(member).finish().length, 0);
    expect(bytes).toBeLessThan(2 ** 20);
  }
});

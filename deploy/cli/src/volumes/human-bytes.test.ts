import { expect, test } from 'vitest';
import { humanBytes } from './human-bytes.ts';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1024, '1.0 KiB'],
  [1_572_864, '1.5 MiB'],
  [500 * 2 ** 20, '500 MiB'],
  [3 * 2 ** 50, '3072 TiB'],
])('%i bytes are %s', (bytes, want) => {
  expect(humanBytes(bytes)).toBe(want);
});

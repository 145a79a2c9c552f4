import { expect, test } from 'vitest';
import { atLeast } from './check.ts';

test.each([
  ['6.18.44-fc-v769', '5.12', true],
  ['5.12', '5.12', true],
  ['5.9.1', '5.12', false],
  ['5.10.0-8-amd64', '5.12', false],
  ['24.21.0', '24', true],
  ['20.20.2', '24', false],
])('%s is at least %s: %s', (version, wanted, want) => {
  expect(atLeast(version, wanted)).toBe(want);
});

import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { apiTable } from './api-table.ts';

test('docs/docker-api.md is up to date (npm run docs -w services/gateway)', async () => {
  const written = await readFile(new URL('../../../../docs/docker-api.md', import.meta.url), 'utf8');
  expect(written).toBe(apiTable());
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, createSigningRequest, issueCertificate } from '@atoll/identity';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { needsCertificate } from './certificate-age.ts';

const DAY_MS = 86_400_000;
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atoll-age-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test('a host without a certificate needs one', async () => {
  expect(await needsCertificate(dir)).toBe(true);
});

test.each([
  [90, false],
  [61, false],
  [59, true],
  [1, true],
])('with %i days left it needs a new one: %s', async (days, want) => {
  const authority = await createAuthority({ clusterId: 'c1' });
  const { csrPem } = await createSigningRequest('h1');
  const pem = await issueCertificate(authority, { role: 'node', id: 'h1', csrPem, ttlMs: days * DAY_MS });
  await writeFile(join(dir, 'cert.pem'), pem);
  expect(await needsCertificate(dir)).toBe(want);
});

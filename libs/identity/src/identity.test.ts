import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createAuthority,
  createSigningRequest,
  formatToken,
  hashSecret,
  issueCertificate,
  loadAuthority,
  newTokenSecret,
  parseToken,
  pinsAuthority,
  saveAuthority,
  saveTlsFiles,
  secretMatches,
} from './index.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atoll-identity-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('authority', () => {
  test('survives its files, with a private key only the owner reads', async () => {
    const authority = await createAuthority({ clusterId: 'c1' });
    await saveAuthority(join(dir, 'ca'), authority);
    expect(await loadAuthority(join(dir, 'ca'))).toEqual(authority);
    expect((await stat(join(dir, 'ca', 'ca-key.pem'))).mode & 0o777).toBe(0o600);
    expect((await readdir(join(dir, 'ca'))).sort()).toEqual(['ca-key.pem', 'ca.pem']);
  });

  test('refuses the key of another authority', async () => {
    const [one, two] = [await createAuthority({ clusterId: 'c1' }), await createAuthority({ clusterId: 'c2' })];
    await saveAuthority(dir, one);
    await writeFile(join(dir, 'ca-key.pem'), two.privateKeyPem);
    await expect(loadAuthority(dir)).rejects.toMatchObject({ reason: 'failed-precondition' });
  });

  test('names the file that is missing', async () => {
    await expect(loadAuthority(dir)).rejects.toMatchObject({
      reason: 'not-found',
      message: expect.stringContaining('ca.pem'),
    });
  });
});

describe('certificates', () => {
  test('carry role, id, addresses, use and validity, and verify against the CA only', async () => {
    const authority = await createAuthority({ clusterId: 'c1' });
    const other = await createAuthority({ clusterId: 'c1' });
    const request = await createSigningRequest('whatever');
    const pem = await issueCertificate(authority, {
      role: 'node',
      id: 'h1',
      addresses: ['10.0.0.7', 'fd00::7', 'h1.example'],
      csrPem: request.csrPem,
    });
    const certificate = new X509Certificate(pem);
    expect(certificate.subject).toBe('O=node\nCN=h1');
    expect(certificate.checkIP('10.0.0.7')).toBe('10.0.0.7');
    expect(certificate.checkIP('fd00::7')).toBe('fd00::7');
    expect(certificate.checkHost('h1.example')).toBe('h1.example');
    expect(certificate.checkPrivateKey(createPrivateKey(request.privateKeyPem))).toBe(true);
    expect(certificate.verify(new X509Certificate(authority.certificatePem).publicKey)).toBe(true);
    expect(certificate.verify(new X509Certificate(other.certificatePem).publicKey)).toBe(false);
    expect(certificate.ca).toBe(false);
    const days = (Date.parse(certificate.validTo) - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(90);
  });

  test.each([
    ['a role with a slash', { role: 'node/x', id: 'h1' }],
    ['an id with a comma, which would add a subject part', { role: 'node', id: 'h1,O=operator' }],
    ['an address that is no name', { role: 'node', id: 'h1', addresses: ['a b'] }],
  ])('refuse %s', async (_name, bad) => {
    const authority = await createAuthority({ clusterId: 'c1' });
    const { csrPem } = await createSigningRequest('x');
    await expect(issueCertificate(authority, { ...bad, csrPem })).rejects.toMatchObject({ reason: 'invalid-argument' });
  });

  test('refuse a request whose signature is not of its key', async () => {
    const authority = await createAuthority({ clusterId: 'c1' });
    const { csrPem } = await createSigningRequest('x');
    const lines = csrPem.split('\n');
    const body = Buffer.from(lines.slice(1, -2).join(''), 'base64');
    body[body.length - 1] = (body[body.length - 1] ?? 0) ^ 1;
    const forged = `${lines[0]}\n${body.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    await expect(issueCertificate(authority, { role: 'node', id: 'h1', csrPem: forged })).rejects.toMatchObject({
      reason: 'invalid-argument',
    });
    await expect(issueCertificate(authority, { role: 'node', id: 'h1', csrPem: 'no' })).rejects.toMatchObject({
      reason: 'invalid-argument',
    });
  });

  test('reach a TLS folder whose key only the owner reads', async () => {
    await saveTlsFiles(join(dir, 'tls'), { caPem: 'a', certificatePem: 'b', privateKeyPem: 'c' });
    expect((await stat(join(dir, 'tls', 'key.pem'))).mode & 0o777).toBe(0o600);
    expect((await readdir(join(dir, 'tls'))).sort()).toEqual(['ca.pem', 'cert.pem', 'key.pem']);
  });
});

describe('join tokens', () => {
  test('round trip and pin one CA', async () => {
    const [mine, other] = [await createAuthority({ clusterId: 'c1' }), await createAuthority({ clusterId: 'c1' })];
    const token = { authorityFingerprint: mine.fingerprint, secret: newTokenSecret() };
    const parsed = parseToken(` ${formatToken(token)}\n`);
    expect(parsed).toEqual(token);
    expect(pinsAuthority(parsed, mine.certificatePem)).toBe(true);
    expect(pinsAuthority(parsed, other.certificatePem)).toBe(false);
    expect(secretMatches(token.secret, hashSecret(token.secret))).toBe(true);
    expect(secretMatches(newTokenSecret(), hashSecret(token.secret))).toBe(false);
    expect(secretMatches(token.secret, '')).toBe(false);
  });

  test.each(['', 'ATOLL-1-ab-cd', 'SWMTKN-1-x-y', `ATOLL-2-${'a'.repeat(64)}-${'b'.repeat(64)}`])(
    'malformed %j is refused without being repeated',
    (text) => {
      expect(() => parseToken(text)).toThrow(/malformed/);
    },
  );
});

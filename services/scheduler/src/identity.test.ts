import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createAuthority,
  createSigningRequest,
  formatToken,
  newTokenSecret,
  parseToken,
  pinsAuthority,
} from '@atoll/identity';
import { identityV1, nodeV1 } from '@atoll/proto';
import { Channel, tlsIdentity } from '@atoll/rpc';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureDesiredState } from './state-marker.ts';
import { startTestCluster, type TestCluster } from './testing/index.ts';

let cluster: TestCluster;
let channel: Channel;
beforeAll(async () => {
  cluster = await startTestCluster();
  channel = new Channel({
    address: cluster.leader.address,
    tls: { ca: Buffer.from(cluster.pki.authority.certificatePem) },
    serverRole: 'scheduler',
  });
});
afterAll(async () => {
  channel.close();
  await cluster.stop();
});

const joining = () => channel.client(identityV1.IdentityServiceService);
const request = async (token: string, change: Partial<identityV1.JoinRequest> = {}) => {
  const { csrPem, privateKeyPem } = await createSigningRequest('new host');
  return { privateKeyPem, message: { token, csrPem, hostname: 'h7', addresses: ['127.0.0.1'], ...change } };
};
const createToken = async (ttlSeconds = 0n): Promise<string> =>
  (await cluster.leader.identity.createToken({ role: 'node', ttlSeconds })).token;

describe('join', () => {
  test('a token gives a host a certificate of its own, with which it may open a session', async () => {
    const token = await createToken();
    expect(pinsAuthority(parseToken(token), cluster.pki.authority.certificatePem)).toBe(true);
    const { message, privateKeyPem } = await request(token);
    const joined = await joining().join(message);
    expect(joined).toMatchObject({ clusterId: 'atoll-test', registry: '127.0.0.1:5000' });
    expect(joined.nodeId).toMatch(/^h7-[0-9a-f]{8}$/);
    const certificate = new X509Certificate(joined.certificatePem);
    expect(certificate.subject).toBe(`O=node\nCN=${joined.nodeId}`);
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    const tls = tlsIdentity(Buffer.from(joined.caPem), Buffer.from(joined.certificatePem), Buffer.from(privateKeyPem));
    const own = new Channel({ address: cluster.leader.address, tls, serverRole: 'scheduler' });
    await expect(own.client(nodeV1.NodeServiceService).listNodes({})).rejects.toMatchObject({
      reason: 'permission-denied',
    });
    const { csrPem } = await createSigningRequest('again');
    const renewed = await own.client(identityV1.IdentityServiceService).renewCertificate({ csrPem });
    expect(new X509Certificate(renewed.certificatePem).subject).toBe(`O=node\nCN=${joined.nodeId}`);
    own.close();
  });

  test('two hosts of one name are two nodes', async () => {
    const token = await createToken();
    const [one, two] = [
      await joining().join((await request(token)).message),
      await joining().join((await request(token)).message),
    ];
    expect(one.nodeId).not.toBe(two.nodeId);
  });

  test('a wrong, foreign, expired or rotated token is refused without being repeated', async () => {
    const { fingerprint } = cluster.pki.authority;
    const other = await createAuthority({ clusterId: 'other' });
    const secret = newTokenSecret();
    const rotated = await createToken();
    const short = await createToken(1n);
    await cluster.leader.identity.rotateTokens({ role: 'node' });
    for (const token of [
      formatToken({ authorityFingerprint: fingerprint, secret }),
      formatToken({ authorityFingerprint: other.fingerprint, secret }),
      rotated,
      short,
    ]) {
      const refusal = joining().join((await request(token)).message);
      await expect(refusal).rejects.toMatchObject({
        reason: 'unauthenticated',
        message: expect.not.stringContaining(token),
      });
    }
  });

  test.each([
    ['a hostname that is none', { hostname: 'a b' }],
    ['an address that is none', { addresses: ['a b'] }],
    ['no request', { csrPem: 'nothing' }],
  ])('%s is refused', async (_name, change) => {
    const { message } = await request(await createToken(), change);
    await expect(joining().join(message)).rejects.toMatchObject({ reason: 'invalid-argument' });
  });

  test('only hosts join by token', async () => {
    await expect(cluster.leader.identity.createToken({ role: 'operator', ttlSeconds: 0n })).rejects.toMatchObject({
      reason: 'invalid-argument',
    });
  });

  test('who tries too often has to wait', async () => {
    const token = formatToken({ authorityFingerprint: cluster.pki.authority.fingerprint, secret: newTokenSecret() });
    const { message } = await request(token);
    const reasons = await Promise.all(
      Array.from({ length: 80 }, () =>
        joining()
          .join(message)
          .then(
            () => 'joined',
            (error) => error.reason,
          ),
      ),
    );
    expect(new Set(reasons)).toEqual(new Set(['unauthenticated', 'resource-exhausted']));
  });
});

describe('state of a cluster', () => {
  test('is made once; when it is gone later nothing new takes its place', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'atoll-marker-'));
    const store = {
      there: false,
      exists: async () => store.there,
      create: async () => {
        store.there = true;
      },
    };
    await ensureDesiredState(store, dir, 'c1');
    expect(store.there).toBe(true);
    await ensureDesiredState(store, dir, 'c1');
    store.there = false;
    await expect(ensureDesiredState(store, dir, 'c1')).rejects.toMatchObject({ reason: 'failed-precondition' });
    expect(store.there).toBe(false);
    await rm(dir, { recursive: true });
  });
});

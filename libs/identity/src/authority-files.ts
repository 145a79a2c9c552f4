import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failedPrecondition, notFound } from '@atoll/errors';
import { type Authority, fingerprintOf } from './authority.ts';
import { writeFileDurably } from './write-file-durably.ts';

const CERTIFICATE = 'ca.pem';
const KEY = 'ca-key.pem';

/**
 * Reads `ca.pem` and `ca-key.pem` of a folder.
 * Errors: not-found when a file is missing, failed-precondition when the key is not the certificate's.
 */
export async function loadAuthority(dir: string): Promise<Authority> {
  // One after the other: of two missing files the error always names the same.
  const certificatePem = await read(dir, CERTIFICATE);
  const privateKeyPem = await read(dir, KEY);
  const certificate = new X509Certificate(certificatePem);
  if (!certificate.checkPrivateKey(createPrivateKey(privateKeyPem))) {
    throw failedPrecondition(
      `${join(dir, KEY)} is not the key of ${join(dir, CERTIFICATE)}: restore the pair from one backup`,
    );
  }
  return { certificatePem, privateKeyPem, fingerprint: fingerprintOf(certificate.raw) };
}

/** Writes the CA durably: the folder 0700, the key 0600. The key comes first, so a certificate never lacks its key. */
export async function saveAuthority(dir: string, authority: Authority): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await writeFileDurably(join(dir, KEY), authority.privateKeyPem, 0o600);
  await writeFileDurably(join(dir, CERTIFICATE), authority.certificatePem, 0o644);
}

async function read(dir: string, name: string): Promise<string> {
  try {
    return await readFile(join(dir, name), 'utf8');
  } catch (cause) {
    throw notFound(`cannot read the cluster CA file ${join(dir, name)}: a cluster's first start makes it`, { cause });
  }
}

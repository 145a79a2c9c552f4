import { KeyObject, webcrypto } from 'node:crypto';
import { KEY_ALGORITHM, SIGNING_ALGORITHM } from './authority.ts';

/** A fresh key with its PKCS#10 request. The private key never leaves the machine that made it. */
export interface SigningRequest {
  readonly csrPem: string;
  readonly privateKeyPem: string;
}

/** Makes a P-256 key and a request for it. `name` is for people only: the authority decides role and id. */
export async function createSigningRequest(name: string): Promise<SigningRequest> {
  const x509 = await import('./x509.ts');
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys,
    signingAlgorithm: SIGNING_ALGORITHM,
  });
  return {
    csrPem: `${request.toString('pem')}\n`,
    privateKeyPem: KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

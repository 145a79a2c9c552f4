import { createHash, KeyObject, webcrypto } from 'node:crypto';

/** The cluster's certificate authority: an ECDSA P-256 key and its self-signed certificate. */
export interface Authority {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** sha256 of the certificate's DER, hex: what a join token pins. */
  readonly fingerprint: string;
}

/** Validity of the CA certificate in days. Leaf certificates are renewed, the CA is not. */
const AUTHORITY_DAYS = 3650;
const DAY_MS = 86_400_000;
/** Certificates start to be valid a little earlier, so that hosts with a slow clock accept a fresh one. */
export const CLOCK_SKEW_MS = 5 * 60_000;

export const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
export const SIGNING_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** A new CA for a cluster. `clusterId` becomes the certificate's CN and tells clusters apart. */
export async function createAuthority(options: { readonly clusterId: string }): Promise<Authority> {
  const x509 = await import('./x509.ts');
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ O: ['atoll'] }, { CN: [options.clusterId] }],
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(now + AUTHORITY_DAYS * DAY_MS),
    signingAlgorithm: SIGNING_ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    privateKeyPem: KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString(),
    fingerprint: fingerprintOf(certificate.rawData),
  };
}

export function fingerprintOf(der: ArrayBuffer | Uint8Array): string {
  return createHash('sha256').update(new Uint8Array(der)).digest('hex');
}

import { createPrivateKey, createPublicKey, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import { invalidArgument } from '@atoll/errors';
import { type Authority, CLOCK_SKEW_MS, KEY_ALGORITHM, SIGNING_ALGORITHM } from './authority.ts';
import type * as X509 from './x509.ts';

/** What a certificate is to say. Subject: `O=<role>, CN=<id>`; the request's own subject and extensions are ignored. */
export interface CertificateRequest {
  readonly role: string;
  readonly id: string;
  /** IP addresses and DNS names for the subject alternative names, beside the id itself. */
  readonly addresses?: readonly string[];
  /** PKCS#10, PEM; proves possession of the key. */
  readonly csrPem: string;
  /** Milliseconds; 90 days when not given. */
  readonly ttlMs?: number;
}

const DEFAULT_TTL_MS = 90 * 86_400_000;
const SUBJECT_PART = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const DNS_NAME = /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62}))*$/;
const MAX_ADDRESSES = 64;
const MAX_CSR_LENGTH = 16_384;

/**
 * Signs a certificate for client and server use.
 * Errors: invalid-argument when the request is no P-256 PKCS#10 signed by its own key, or a name cannot stand in a certificate.
 */
export async function issueCertificate(authority: Authority, request: CertificateRequest): Promise<string> {
  const x509 = await import('./x509.ts');
  const csr = await parseRequest(x509, request.csrPem);
  for (const [field, value] of [
    ['role', request.role],
    ['id', request.id],
  ] as const) {
    if (!SUBJECT_PART.test(value))
      throw invalidArgument(`certificate ${field} ${JSON.stringify(value)} is not a plain name`);
  }
  const issuer = new x509.X509Certificate(authority.certificatePem);
  const now = Date.now();
  const notAfter = Math.min(now + (request.ttlMs ?? DEFAULT_TTL_MS), issuer.notAfter.getTime());
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ O: [request.role] }, { CN: [request.id] }],
    issuer: issuer.subjectName,
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(notAfter),
    signingAlgorithm: SIGNING_ALGORITHM,
    publicKey: csr.publicKey,
    signingKey: await signingKey(authority),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension(alternativeNames(request)),
      await x509.SubjectKeyIdentifierExtension.create(csr.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

async function parseRequest(x509: typeof X509, pem: string): Promise<X509.Pkcs10CertificateRequest> {
  if (pem.length > MAX_CSR_LENGTH) throw invalidArgument('certificate request is larger than 16 KiB');
  let csr: X509.Pkcs10CertificateRequest;
  let genuine: boolean;
  let curve: string | undefined;
  try {
    csr = new x509.Pkcs10CertificateRequest(pem);
    genuine = await csr.verify();
    curve = createPublicKey(csr.publicKey.toString('pem')).asymmetricKeyDetails?.namedCurve;
  } catch (cause) {
    throw invalidArgument('certificate request is not a valid PKCS#10 document in PEM', { cause });
  }
  if (!genuine) throw invalidArgument('certificate request is not signed by the key it carries');
  if (curve !== 'prime256v1') throw invalidArgument('certificate request must carry an ECDSA P-256 key');
  return csr;
}

function alternativeNames(request: CertificateRequest): X509.JsonGeneralNames {
  const addresses = [...new Set([request.id, ...(request.addresses ?? [])])];
  if (addresses.length > MAX_ADDRESSES)
    throw invalidArgument(`a certificate carries at most ${MAX_ADDRESSES} addresses`);
  return addresses.map((value) => {
    if (isIP(value) !== 0) return { type: 'ip', value };
    if (DNS_NAME.test(value)) return { type: 'dns', value };
    throw invalidArgument(`${JSON.stringify(value)} is neither an IP address nor a DNS name`);
  });
}

function signingKey(authority: Authority): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(authority.privateKeyPem).export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', der, KEY_ALGORITHM, false, ['sign']);
}

/** 159 random bits: positive and not zero, as RFC 5280 section 4.1.2.2 asks. */
function serialNumber(): string {
  const bytes = randomBytes(20);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

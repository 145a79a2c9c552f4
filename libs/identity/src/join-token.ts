import { createHash, randomBytes, timingSafeEqual, X509Certificate } from 'node:crypto';
import { invalidArgument } from '@atoll/errors';
import { fingerprintOf } from './authority.ts';

/**
 * `ATOLL-1-<sha256 of the CA certificate, hex>-<secret, 64 hex digits>`.
 * The pin lets a host that joins check the CA it is shown before it sends anything; the secret is what the scheduler checks.
 */
export interface JoinToken {
  readonly authorityFingerprint: string;
  readonly secret: string;
}

const FORM = /^ATOLL-1-([0-9a-f]{64})-([0-9a-f]{64})$/;

/** 256 random bits, hex. */
export function newTokenSecret(): string {
  return randomBytes(32).toString('hex');
}

export function formatToken(token: JoinToken): string {
  return `ATOLL-1-${token.authorityFingerprint}-${token.secret}`;
}

/** Errors: invalid-argument when the text is no token; the text itself is not repeated, it may hold a secret. */
export function parseToken(text: string): JoinToken {
  const match = FORM.exec(text.trim());
  if (match?.[1] === undefined || match[2] === undefined) {
    throw invalidArgument('join token is malformed: it has the form ATOLL-1-<64 hex digits>-<64 hex digits>');
  }
  return { authorityFingerprint: match[1], secret: match[2] };
}

/** Does this CA certificate (PEM) carry the fingerprint the token pins? */
export function pinsAuthority(token: JoinToken, certificatePem: string): boolean {
  const shown = Buffer.from(fingerprintOf(new X509Certificate(certificatePem).raw), 'hex');
  return timingSafeEqual(shown, Buffer.from(token.authorityFingerprint, 'hex'));
}

/** What is stored in place of a secret: its sha256, hex. The secret is random, so a plain hash cannot be searched. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Compares in constant time. */
export function secretMatches(secret: string, hash: string): boolean {
  const shown = Buffer.from(hashSecret(secret), 'hex');
  const stored = Buffer.from(hash, 'hex');
  return shown.length === stored.length && timingSafeEqual(shown, stored);
}

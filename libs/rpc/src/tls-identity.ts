import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { invalidArgument } from '@atoll/errors';

/** What a certificate of the cluster may be used for: the `O` of its subject. */
export const ROLES = ['gateway', 'scheduler', 'registry', 'image-builder', 'node', 'operator'] as const;
export type Role = (typeof ROLES)[number];

/** Who is at one end of a connection, as its certificate says. `id` is the `CN`. */
export interface Peer {
  readonly role: Role;
  readonly id: string;
}

/** A party's own certificate, its key and the cluster's CA, all PEM. */
export interface TlsIdentity extends Peer {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** Subject of a certificate as Node's TLS gives it: a field that occurs twice is a list. */
export type CertificateSubject = { readonly [field: string]: string | readonly string[] | undefined };

/** The peer a certificate names, or undefined when it is not one of the cluster's kinds. */
export function peerOf(subject: CertificateSubject): Peer | undefined {
  // A list is refused, not chosen from: a second O must not let a signer's mistake decide the role.
  const role = ROLES.find((known) => known === subject['O']);
  const id = subject['CN'];
  return role && typeof id === 'string' && id !== '' ? { role, id } : undefined;
}

/** Reads `ca.pem`, `cert.pem` and `key.pem` of a folder. Throws invalid-argument when the certificate names no role. */
export async function loadTlsIdentity(directory: string): Promise<TlsIdentity> {
  const [ca, cert, key] = await Promise.all(
    ['ca.pem', 'cert.pem', 'key.pem'].map((name) => readFile(join(directory, name))),
  );
  return tlsIdentity(ca as Buffer, cert as Buffer, key as Buffer);
}

export function tlsIdentity(ca: Buffer, cert: Buffer, key: Buffer): TlsIdentity {
  const peer = peerOf(new X509Certificate(cert).toLegacyObject().subject as CertificateSubject);
  if (!peer) throw invalidArgument('the certificate names no role of the cluster in its subject (O=<role>, CN=<id>)');
  return { ca, cert, key, ...peer };
}

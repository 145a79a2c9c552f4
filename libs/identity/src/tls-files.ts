import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileDurably } from './write-file-durably.ts';

/** What a service reads from its TLS folder (`ATOLL_TLS_DIR`): `ca.pem`, `cert.pem`, `key.pem`. */
export interface TlsFiles {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** Writes the folder 0700 and the key 0600, each file durably; the certificate comes last. */
export async function saveTlsFiles(dir: string, files: TlsFiles): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await writeFileDurably(join(dir, 'ca.pem'), files.caPem);
  await writeFileDurably(join(dir, 'key.pem'), files.privateKeyPem, 0o600);
  await writeFileDurably(join(dir, 'cert.pem'), files.certificatePem);
}

import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const DAY_MS = 86_400_000;
/** Node certificates hold 90 days; a start within the last two thirds of that renews them. */
const RENEW_BEFORE_MS = 60 * DAY_MS;

/** True when the folder has no certificate, or one that is to be renewed. */
export async function needsCertificate(tlsDir: string): Promise<boolean> {
  const pem = await readFile(join(tlsDir, 'cert.pem')).catch(() => undefined);
  return pem === undefined || Date.parse(new X509Certificate(pem).validTo) - Date.now() < RENEW_BEFORE_MS;
}

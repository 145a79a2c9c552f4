import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSigningRequest, saveTlsFiles } from '@atoll/identity';
import { identityV1 } from '@atoll/proto';
import { Channel, loadTlsIdentity } from '@atoll/rpc';

const DAY_MS = 86_400_000;
/** Node certificates hold 90 days; a start within the last two thirds of that renews them. */
const RENEW_BEFORE_MS = 60 * DAY_MS;

/** Exchanges a node's certificate for a fresh one of the same role and id when its time runs out. False: not needed yet. */
export async function renewCertificate(scheduler: string, tlsDir: string): Promise<boolean> {
  const certificate = new X509Certificate(await readFile(join(tlsDir, 'cert.pem')));
  if (Date.parse(certificate.validTo) - Date.now() > RENEW_BEFORE_MS) return false;
  const tls = await loadTlsIdentity(tlsDir);
  const request = await createSigningRequest(tls.id);
  const channel = new Channel({ address: scheduler, tls, serverRole: 'scheduler' });
  try {
    const answer = await channel.client(identityV1.IdentityServiceService).renewCertificate({ csrPem: request.csrPem });
    await saveTlsFiles(tlsDir, {
      caPem: answer.caPem,
      certificatePem: answer.certificatePem,
      privateKeyPem: request.privateKeyPem,
    });
    return true;
  } finally {
    channel.close();
  }
}

import { createSigningRequest, saveTlsFiles } from '@atoll/identity';
import { identityV1 } from '@atoll/proto';
import { Channel, loadTlsIdentity } from '@atoll/rpc';
import { needsCertificate } from './certificate-age.ts';

/** Exchanges a node's certificate for a fresh one of the same role and id when its time runs out. False: not needed yet. */
export async function renewCertificate(scheduler: string, tlsDir: string): Promise<boolean> {
  if (!(await needsCertificate(tlsDir))) return false;
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

import { createSigningRequest, parseToken, saveTlsFiles } from '@atoll/identity';
import { identityV1 } from '@atoll/proto';
import { Channel, fetchPinnedCa } from '@atoll/rpc';

export interface JoinOptions {
  readonly token: string;
  /** `host:port` */
  readonly scheduler: string;
  readonly hostname: string;
  readonly addresses: readonly string[];
  /** Where the new identity is kept. */
  readonly tlsDir: string;
}

/**
 * Makes this host a member: checks the CA against the token's pin before the secret is sent, then has a fresh key signed.
 * The key never leaves the host.
 * Errors: permission-denied for another CA or a token that is not valid, unavailable when nobody answers.
 */
export async function joinCluster(options: JoinOptions): Promise<identityV1.JoinResponse> {
  const { authorityFingerprint } = parseToken(options.token);
  const ca = await fetchPinnedCa(options.scheduler, authorityFingerprint);
  const request = await createSigningRequest(options.hostname);
  const channel = new Channel({ address: options.scheduler, tls: { ca }, serverRole: 'scheduler' });
  try {
    const answer = await channel.client(identityV1.IdentityServiceService).join({
      token: options.token.trim(),
      csrPem: request.csrPem,
      hostname: options.hostname,
      addresses: [...options.addresses],
    });
    await saveTlsFiles(options.tlsDir, {
      caPem: answer.caPem,
      certificatePem: answer.certificatePem,
      privateKeyPem: request.privateKeyPem,
    });
    return answer;
  } finally {
    channel.close();
  }
}

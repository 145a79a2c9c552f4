import { identityV1 } from '@atoll/proto';
import { Channel, loadTlsIdentity } from '@atoll/rpc';

export interface TokenOptions {
  readonly scheduler: string;
  /** Folder of the operator's certificate. */
  readonly tlsDir: string;
  /** 0 = until rotated. */
  readonly ttlSeconds: number;
  /** Invalidates all older tokens. */
  readonly rotate?: boolean;
}

/** A token with which nodes may join, from the scheduler. */
export async function requestJoinToken(options: TokenOptions): Promise<string> {
  const tls = await loadTlsIdentity(options.tlsDir);
  const channel = new Channel({ address: options.scheduler, tls, serverRole: 'scheduler' });
  try {
    const identity = channel.client(identityV1.IdentityServiceService);
    const answer = options.rotate
      ? await identity.rotateTokens({ role: 'node' })
      : await identity.createToken({ role: 'node', ttlSeconds: BigInt(options.ttlSeconds) });
    return answer.token;
  } finally {
    channel.close();
  }
}
